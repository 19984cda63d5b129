"""What every waveform augmentation shares: choose clips, draw first, transform after, on the batch's device.

``draw`` makes all random numbers of a batch at once from one generator; ``transform`` is a pure function of the batch
and the draws. So a transform compiles as one graph (a generator cannot enter one), and a test can fix the draws.
"""

import math
from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Generator, Tensor, nn

from rfcx_ssl.labels import Batch

Draws = dict[str, Tensor]


class Augmentation(nn.Module):
    """A random change of a batch, made to each clip with probability ``p``; identity in eval mode.

    Of B clips, ``B * p`` are chosen at random and changed, rounded up or down at random where that is no whole number:
    every clip is chosen with probability p, shapes are known beforehand, and no work is spent on the others. Those
    come back bit for bit, with their labels. Subclasses see the chosen clips only; they never loop over them, never
    read a value back from the device and never open a file.

    Args:
        p: Probability that a clip is changed, in [0, 1].
    """

    moves_labels: ClassVar[bool] = True  # False: only the waveform changes

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

    def draw(self, batch: Batch, generator: Generator | None = None) -> Draws:
        """All random numbers for one batch; only its shapes and device matter.

        ``rows`` (R,) are the chosen clips; where ``active`` (R,) is there, those of them that really change.
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
        """The change that ``draws`` describe, as a new batch."""
        return self.change(batch._replace(waveform=batch.waveform.clone()), draws)

    def change(self, batch: Batch, draws: Draws) -> Batch:
        """Like :meth:`transform`, but writes into ``batch.waveform``; float32, whatever the surrounding autocast."""
        rows, active = draws["rows"], draws.get("active")
        with torch.autocast(batch.waveform.device.type, enabled=False):
            fields = batch if self.moves_labels else batch[:1]
            part = Batch(*(field.index_select(0, rows) for field in fields), *batch[len(fields) :])
            changed = self.change_rows(part, draws, batch)
            merged = [_merge(old, rows, new, active) for old, new in zip(fields, changed, strict=False)]
            batch.waveform.index_copy_(0, rows, merged[0])
            labels = [old.index_copy(0, rows, new) for old, new in zip(fields[1:], merged[1:], strict=True)]
            return Batch(batch.waveform, *labels, *batch[len(fields) :])

    @abstractmethod
    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Random numbers of ``count`` chosen clips; a batch is given for its shapes and device."""

    @abstractmethod
    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """The change itself, without randomness.

        Args:
            part: The R chosen clips; its waveform may be overwritten. Its labels are those of the whole batch where
                ``moves_labels`` is False.
            draws: What :meth:`draw` returned.
            whole: The batch they come from, for transforms that look at other clips; not to be changed.
        """


def _merge(old: Tensor, rows: Tensor, new: Tensor, active: Tensor | None) -> Tensor:
    """Rows to write: the new ones, or the old ones where a chosen clip is not active after all."""
    if active is None:
        return new
    return torch.where(active.view(-1, *(1,) * (new.dim() - 1)), new, old.index_select(0, rows))


def uniform(count: int, batch: Batch, generator: Generator | None, low: float = 0.0, high: float = 1.0) -> Tensor:
    """(count,) float32 in [low, high) on the batch's device."""
    draw = torch.rand(count, device=batch.waveform.device, dtype=torch.float32, generator=generator)
    return low + (high - low) * draw


def random_partner(batch: Batch, generator: Generator | None) -> Tensor:
    """(B,) int64: a permutation that is one cycle, so that no clip is its own partner (for B > 1)."""
    order = torch.argsort(uniform(batch.waveform.shape[0], batch, generator))
    return torch.empty_like(order).scatter_(0, order, order.roll(1))


def decibel_gain(level_db: Tensor) -> Tensor:
    """Amplitude factor of a level in dB."""
    return torch.exp(level_db * (math.log(10.0) / 20.0))


def power(waveform: Tensor) -> Tensor:
    """(B, N) -> (B,) mean square."""
    norm: Tensor = torch.linalg.vector_norm(waveform, dim=-1)
    return norm.square() / waveform.shape[-1]
