"""What every waveform augmentation shares: choose crops, draw first, transform after, on the batch's device.

``draw`` makes all random numbers of a batch at once from one generator; ``transform`` is a pure function of the batch
and the draws. So a transform compiles as one graph (a generator cannot enter one), and a test can fix the draws.
"""

import math
from abc import abstractmethod

import torch
from torch import Generator, Tensor, nn

from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings

Draws = dict[str, Tensor]


@settings
class TransformSettings:
    """What the settings of every transform begin with; a transform that is off has none (null)."""

    p: float  # probability that a crop is changed

    def __post_init__(self) -> None:
        if not 0.0 < self.p <= 1.0:
            raise ValueError(f"p={self.p} must be above 0 and at most 1; null leaves the transform out")


class Augmentation(nn.Module):
    """A random change of a batch, made to each crop with probability ``p``; identity in eval mode.

    Of B crops, ``B * p`` are chosen at random and changed, rounded up or down at random where that is no whole number:
    every crop is chosen with probability p, shapes are known beforehand, and no work is spent on the others. Those
    come back bit for bit, with their labels. Subclasses never loop over crops, never read a value back from the device
    and never open a file.

    Args:
        p: Probability that a crop is changed, in (0, 1].
    """

    changes_labels = True  # False: sounds stay where they are, the same ones, only harder to hear

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, batch: Batch, generator: Generator | None = None) -> Batch:
        """Change ``batch`` with draws from ``generator`` (on the batch's device; None: torch's own)."""
        if not self.training:
            return batch
        return self.transform(batch, self.draw(batch, generator))

    def draw(self, batch: Batch, generator: Generator | None = None) -> Draws:
        """All random numbers for one batch; only its shapes and device matter.

        ``rows`` (R,) are the chosen crops; where ``active`` (R,) is there, those of them that really change.
        """
        size, device = batch.waveform.shape[0], batch.waveform.device
        expected = round(size * self.p, 9)
        count = math.ceil(expected)
        order = torch.rand(size, device=device, generator=generator).argsort()[:count]
        draws = {"rows": order.sort().values, **self.draw_rows(count, batch, generator)}
        if count != expected:  # one of them, any, changes with what is left of the probability
            keep = torch.rand(1, device=device, generator=generator) < expected - (count - 1)
            draws["active"] = (draws["rows"] != order[:1]) | keep
        return draws

    def transform(self, batch: Batch, draws: Draws) -> Batch:
        """The change that ``draws`` describe, as a new batch; float32, whatever the surrounding autocast."""
        with torch.autocast(batch.waveform.device.type, enabled=False):
            return self.change(batch._replace(waveform=batch.waveform.clone()), draws)

    @abstractmethod
    def change(self, batch: Batch, draws: Draws) -> Batch:
        """Like :meth:`transform`, but writes into ``batch.waveform``; labels are new tensors where they change."""

    @abstractmethod
    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Random numbers of ``count`` chosen crops; the batch is given for its shapes and device."""


def uniform(count: int, batch: Batch, generator: Generator | None, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(count,) float32 in [low, high) on the batch's device."""
    draw = torch.rand(count, device=batch.waveform.device, dtype=torch.float32, generator=generator)
    return low + (high - low) * draw


def random_partner(batch: Batch, generator: Generator | None) -> Tensor:
    """(B,) int64: a permutation that is one cycle, so that no crop is its own partner (for B > 1)."""
    order = torch.argsort(uniform(batch.waveform.shape[0], batch, generator))
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def decibel_gain(level_db: Tensor) -> Tensor:
    """Amplitude factor of a level in dB."""
    return torch.exp(level_db * (math.log(10.0) / 20.0))


def power(waveform: Tensor) -> Tensor:
    """(B, N) -> (B,) mean square."""
    norm: Tensor = torch.linalg.vector_norm(waveform, dim=-1)
    return norm.square() / waveform.shape[-1]
