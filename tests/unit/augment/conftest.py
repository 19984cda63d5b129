from collections.abc import Callable

import pytest
import torch

from rfcx_ssl.labels import Batch
from rfcx_ssl.species import LabelSpace, label_space, rfcx_species

HOP = 640


@pytest.fixture
def space() -> LabelSpace:
    return label_space(rfcx_species())


@pytest.fixture
def make_clicks() -> Callable[..., Batch]:
    """One click per crop, inside an event of a few frames; crop ``j`` calls with output ``j`` and is known throughout.

    The other outputs are random and three-state, so that mixing and forgetting have something to do.
    """

    def make(seed: int, size: int = 4, samples: int = 32_000, outputs: int = 24) -> Batch:
        generator = torch.Generator().manual_seed(seed)
        frames = -(-samples // HOP)
        known = (torch.rand(size, frames, outputs, generator=generator) < 0.5).float()
        target = torch.zeros(size, frames, outputs)
        waveform = torch.zeros(size, samples)
        for crop in range(size):
            length = int(torch.randint(1, 7, (), generator=generator))
            first = int(torch.randint(0, frames - length + 1, (), generator=generator))
            known[crop, :, :size] = 1.0
            target[crop, first : first + length, crop] = 1.0
            stop = min((first + length) * HOP, samples)
            waveform[crop, int(torch.randint(first * HOP, stop, (), generator=generator))] = 1.0
        clip_known = torch.maximum(target.amax(1), known.amin(1))
        return Batch(waveform, target, known, target.amax(1), clip_known, torch.arange(size))

    return make


@pytest.fixture
def changed_crops() -> Callable[[dict[str, torch.Tensor], int], torch.Tensor]:
    """(B,) bool: the crops that a transform's draws say are changed."""

    def mask(draws: dict[str, torch.Tensor], size: int) -> torch.Tensor:
        active = draws.get("active", torch.ones_like(draws["rows"], dtype=torch.bool))
        return torch.zeros(size, dtype=torch.bool).scatter(0, draws["rows"], active)

    return mask
