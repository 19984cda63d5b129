"""Median filters over frames that stream in, of a length of its own for each species."""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.frame_events import FrameArray

MOST_VALUES = 1 << 22  # in memory at once


class MedianFilter:
    """Push frames, then ask for the filtered columns that matter. The first and last frame are repeated beyond the ends.

    All columns are late by the longest filter's half, so that what leaves together belongs together.
    """

    def __init__(self, half_frames: NDArray[np.int64]) -> None:
        self.half_frames = half_frames  # (S,) frames on each side of the filter's center
        self._most = int(half_frames.max())
        self._joined: FrameArray | None = (
            None  # the frames in hand: ``most`` before the first center to ``most`` after the last
        )

    def push(self, frames: FrameArray) -> FrameArray:
        """Take the next frames (t, S); returns the frames in hand that the next :meth:`columns` are made of."""
        if self._joined is None:
            before = np.repeat(frames[:1], self._most, axis=0)
        else:
            before = self._joined[max(len(self._joined) - 2 * self._most, 0) :]
        self._joined = np.concatenate([before, frames])
        return self._joined

    def finish(self) -> FrameArray | None:
        """There are no more frames; as :meth:`push`, None where there never were any."""
        return None if self._joined is None else self.push(np.repeat(self._joined[-1:], self._most, axis=0))

    @property
    def num_centers(self) -> int:
        """Filtered frames since the last push."""
        return 0 if self._joined is None else max(len(self._joined) - 2 * self._most, 0)

    def columns(self, species: NDArray[np.intp]) -> FrameArray:
        """The filtered frames of some species (``num_centers``, len(species))."""
        assert self._joined is not None
        filtered = np.empty((self.num_centers, len(species)), np.float32)
        for half in np.unique(self.half_frames[species]).tolist():
            places = np.flatnonzero(self.half_frames[species] == half)
            inside = self._joined[self._most - half : len(self._joined) - self._most + half]
            step = max(MOST_VALUES // (len(inside) * (2 * half + 1)), 1)
            for first in range(0, len(places), step):
                some = places[first : first + step]
                windows = np.lib.stride_tricks.sliding_window_view(inside[:, species[some]], 2 * half + 1, axis=0)
                filtered[:, some] = np.median(windows, axis=-1) if half else windows[..., 0]
        return filtered
