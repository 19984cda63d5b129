"""What every waveform augmentation shares: draw first, transform after, on the batch's device.

``draw`` makes all random numbers of a batch at once from one generator; ``transform`` is a pure function of the batch
and the draws. So a transform compiles as one graph (a generator cannot enter one), and a test can fix the draws.
"""

import math
from abc import abstractmethod

import torch
from torch import Generator, Tensor, nn

from rfcx_ssl.labels import Batch

Draws = dict[str, Tensor]


class Augmentation(nn.Module):
    """A random change of a whole batch, made to each clip with probability ``p``; identity in eval mode.

    Subclasses never loop over the batch, never read a value back from the device and never open a file. Clips that
    are not chosen come back bit for bit, with their labels.

    Args:
        p: Probability that a clip is changed, in [0, 1].
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"p={p} must lie in [0, 1]")
        self.p = p

    def forward(self, batch: Batch, generator: Generator | None = None) -> Batch:
        """Change ``batch`` with draws from ``generator`` (on the batch's device; None: torch's own)."""
        if not self.training or self.p == 0:
            return batch
        return self.transform(batch, self.draw(batch, generator))

    def transform(self, batch: Batch, draws: Draws) -> Batch:
        """The change that ``draws`` describe; always in float32, whatever the surrounding autocast."""
        with torch.autocast(batch.waveform.device.type, enabled=False):
            return self.apply_draws(batch, draws)

    @abstractmethod
    def draw(self, batch: Batch, generator: Generator | None) -> Draws:
        """Random numbers for one batch; only the batch's shapes and device may matter."""

    @abstractmethod
    def apply_draws(self, batch: Batch, draws: Draws) -> Batch:
        """The change itself, without randomness."""

    def coin(self, batch: Batch, generator: Generator | None) -> Tensor:
        """(B,) bool: the clips to change."""
        return uniform(batch, generator) < self.p


def uniform(batch: Batch, generator: Generator | None, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(B,) float32 in [low, high), one number for each clip."""
    waveform = batch.waveform
    draw = torch.rand(waveform.shape[0], device=waveform.device, dtype=torch.float32, generator=generator)
    return low + (high - low) * draw


def random_partner(batch: Batch, generator: Generator | None) -> Tensor:
    """(B,) int64: a permutation that is one cycle, so that no clip is its own partner (for B > 1)."""
    order = torch.argsort(uniform(batch, generator))
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def decibel_gain(level_db: Tensor) -> Tensor:
    """Amplitude factor of a level in dB."""
    return torch.exp(level_db * (math.log(10.0) / 20.0))


def power(waveform: Tensor) -> Tensor:
    """(B, N) -> (B,) mean square."""
    norm: Tensor = torch.linalg.vector_norm(waveform, dim=-1)
    return norm.square() / waveform.shape[-1]
