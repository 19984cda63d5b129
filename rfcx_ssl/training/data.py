"""The training crops of one process, step by step, with the time the loop waits for them."""

import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader

from rfcx_ssl.labels import Batch
from rfcx_ssl.training.sampler import EpochDataset, KeyedDataset, StepSampler


class StepStream:
    """Iterates over lists of micro-batches on ``device``, one list per optimizer step, from ``start_step`` on."""

    def __init__(
        self,
        dataset: EpochDataset,
        collate: Callable[[Any], Batch],
        sampler: StepSampler,
        device: torch.device,
        *,
        start_step: int,
        num_workers: int,
    ) -> None:
        sampler.start_step = start_step
        self.accumulation = sampler.accumulation
        self.device = device
        self._wait_s = 0.0
        self._loader = DataLoader(
            KeyedDataset(dataset),
            batch_sampler=sampler,
            collate_fn=collate,
            num_workers=num_workers,
            pin_memory=device.type == "cuda",
            persistent_workers=num_workers > 0,
            worker_init_fn=leave_signals_to_the_loop,
            # Items own their randomness; a private generator keeps the loader off the global one.
            generator=torch.Generator().manual_seed(sampler.seed),
        )

    def __iter__(self) -> Iterator[list[Batch]]:
        source = iter(self._loader)
        while True:
            started = time.perf_counter()
            batches = [next(source) for _ in range(self.accumulation)]
            self._wait_s += time.perf_counter() - started
            yield [to_device(batch, self.device) for batch in batches]

    def take_wait_s(self) -> float:
        """Seconds the loop waited for data since the last call."""
        wait_s, self._wait_s = self._wait_s, 0.0
        return wait_s


def leave_signals_to_the_loop(worker: int) -> None:
    """A Ctrl-C or a cluster's SIGTERM reaches the whole process group; a worker that died of it would end the run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def to_device(batch: Batch, device: torch.device) -> Batch:
    """The batch on ``device``; copies from pinned memory do not block."""
    return type(batch)(*(value.to(device, non_blocking=True) for value in batch))
