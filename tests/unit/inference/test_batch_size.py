"""The size of batches on machines that are described here."""

import pytest
import torch

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batch_size import choose_batch_size
from rfcx_ssl.inference.windows import Windows


class Machine:
    """A scorer and its clock: ``seconds(size)`` per batch, no memory beyond ``memory`` windows."""

    def __init__(self, seconds, memory=10**6, device="cuda:0"):
        self.name = "large"
        self.device, self.seconds, self.memory = torch.device(device), seconds, memory
        self.grid, self.windows = FrameGrid(100, 10), Windows(1.0, 0.5, "max")
        self.now, self.sizes = 0.0, []

    def __call__(self, waveform):
        assert waveform.shape[1] == 100
        self.sizes.append(len(waveform))
        if len(waveform) > self.memory:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.now += self.seconds(len(waveform))

    def clock(self):
        return self.now


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (Machine(lambda size: 1.0, device="cpu"), 8),
        (Machine(lambda size: 1.0), 512),  # never slower: the bound
        (Machine(lambda size: float(size)), 8),  # a window costs the same in any batch
        (Machine(lambda size: max(64.0, size)), 64),  # busy from 64 on
        (Machine(lambda size: 1.0, memory=100), 64),
        (Machine(lambda size: 1.0, memory=8), 8),
        (Machine(lambda size: 1.0, memory=3), 2),
    ],
)
def test_doubled_while_it_pays_and_memory_lasts(machine, expected):
    assert choose_batch_size(machine, machine.clock) == expected
    assert machine.device.type == "cuda" or not machine.sizes, "a CPU is not measured"
    assert max(machine.sizes, default=0) <= 512


def test_a_model_that_fits_in_no_memory_says_so():
    machine = Machine(lambda size: 1.0, memory=0)
    with pytest.raises(CheckpointError, match="model large: not even one window fits into the memory of cuda:0"):
        choose_batch_size(machine, machine.clock)
