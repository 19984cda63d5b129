"""Frames of one grid as frames of another, while they come."""

from math import gcd

import torch
from torch import Tensor

from rfcx_ssl.frames import FrameGrid


class Regrid:
    """Scores on ``own`` frames, in pieces -> scores on ``common`` frames, in pieces, cut wherever the caller likes.

    A score holds for all of its frame; a common frame gets the mean over the part of it that was scored. One that begins
    where the scores have ended (the grids round the end of a recording differently) gets the last score. All times are
    compared in integers.
    """

    def __init__(self, own: FrameGrid, common: FrameGrid) -> None:
        common_length, own_length = common.hop_samples * own.sample_rate_hz, own.hop_samples * common.sample_rate_hz
        unit = gcd(common_length, own_length)
        self._common, self._own = common_length // unit, own_length // unit  # lengths of frames in the same unit
        self._rows = torch.zeros(0)  # (t, S) own frames from ``_first`` on
        self._first = 0
        self._taken = 0  # common frames that were taken
        self.ended = False  # no more rows will come

    @property
    def num_rows(self) -> int:
        """Own frames that came so far."""
        return self._first + len(self._rows)

    def push(self, rows: Tensor) -> None:
        """Take the next own frames (t, S)."""
        self._rows = torch.cat([self._rows, rows]) if len(self._rows) else rows

    @property
    def num_final(self) -> int | None:
        """Common frames that no later row can change; None where that is all there may be."""
        return None if self.ended else self.num_rows * self._own // self._common

    def take(self, stop: int) -> Tensor:
        """Common frames (t, S) from the last that was taken up to ``stop``, which must be final."""
        if self._own == self._common and stop <= self.num_rows:
            taken = self._rows[self._taken - self._first : stop - self._first]
        else:
            taken = self._mean_over(torch.arange(self._taken, stop))
        self._taken = stop
        used = min(stop * self._common // self._own, self.num_rows - 1) - self._first
        if used > 0:
            self._rows, self._first = self._rows[used:], self._first + used
        return taken

    def _mean_over(self, frames: Tensor) -> Tensor:
        """Scores (t, S) of common frames (t,)."""
        last = self.num_rows - 1
        start, stop = frames * self._common, (frames + 1) * self._common
        total = torch.zeros(len(frames), self._rows.shape[1], dtype=torch.float64)
        length = torch.zeros(len(frames), 1, dtype=torch.float64)
        for step in range((self._common - 1) // self._own + 2):  # as many own frames as a common one can touch
            row = start // self._own + step
            shared = (torch.minimum(stop, (row + 1) * self._own) - torch.maximum(start, row * self._own)).clamp(min=0)
            shared = (shared * (row <= last))[:, None]
            total += shared * self._rows[row.clamp(max=last) - self._first].double()
            length += shared
        mean = torch.where(length > 0, total / length, self._rows[-1].double())
        return mean.to(self._rows.dtype)
