from collections.abc import Callable

import pytest
import torch

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.species import LabelSpace, rfcx_label_space

RATE_HZ, HOP = 32_000, 640


@pytest.fixture
def grid() -> FrameGrid:
    return FrameGrid(RATE_HZ, HOP)


@pytest.fixture
def space() -> LabelSpace:
    return rfcx_label_space()


@pytest.fixture
def make_batch() -> Callable[..., Batch]:
    """Noise with random hard three-state labels; clip labels follow the frames."""

    def make(seed: int = 0, size: int = 4, samples: int = 32_000, outputs: int = 24, level: float = 0.1) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        frames = -(-samples // HOP)
        known = (torch.rand(size, frames, outputs, generator=generator) < 0.6).float()
        target = (torch.rand(size, frames, outputs, generator=generator) < 0.2).float() * known
        clip_target = target.amax(1)
        clip_known = torch.maximum(clip_target, known.amin(1))
        waveform = level * torch.randn(size, samples, generator=generator)
        return Batch(waveform, target, known, clip_target, clip_known, torch.arange(size))

    return make


@pytest.fixture
def make_clicks() -> Callable[..., Batch]:
    """One click per clip, inside an event of a few frames; clip ``j`` calls with output ``j`` and is known throughout.

    The other outputs are random and three-state, so that mixing and forgetting have something to do.
    """

    def make(seed: int, size: int = 4, samples: int = 32_000, outputs: int = 24) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        frames = -(-samples // HOP)
        known = (torch.rand(size, frames, outputs, generator=generator) < 0.5).float()
        target = torch.zeros(size, frames, outputs)
        waveform = torch.zeros(size, samples)
        for clip in range(size):
            length = int(torch.randint(1, 7, (), generator=generator))
            first = int(torch.randint(0, frames - length + 1, (), generator=generator))
            known[clip, :, :size] = 1.0
            target[clip, first : first + length, clip] = 1.0
            stop = min((first + length) * HOP, samples)
            waveform[clip, int(torch.randint(first * HOP, stop, (), generator=generator))] = 1.0
        clip_known = torch.maximum(target.amax(1), known.amin(1))
        return Batch(waveform, target, known, target.amax(1), clip_known, torch.arange(size))

    return make


@pytest.fixture
def changed_clips() -> Callable[[dict[str, torch.Tensor], int], torch.Tensor]:
    """(B,) bool: the clips that a transform's draws say are changed."""

    def mask(draws: dict[str, torch.Tensor], size: int) -> torch.Tensor:
        active = draws.get("active", torch.ones_like(draws["rows"], dtype=torch.bool))
        return torch.zeros(size, dtype=torch.bool).scatter(0, draws["rows"], active)

    return mask
