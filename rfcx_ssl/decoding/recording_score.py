"""One score per species for a whole recording, as its pieces stream in: to rank recordings by."""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.frame_events import FrameArray
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid


class HighestFrames:
    """The ``most`` frames of a recording that are highest for each species (all, where there are fewer); memory does not grow."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: FrameArray | None = None

    def __len__(self) -> int:
        return 0 if self._kept is None else len(self._kept)

    def push(self, frames: FrameArray) -> None:
        """Take the next frames (t, S)."""
        joined = frames if self._kept is None else np.concatenate([self._kept, frames])
        surplus = len(joined) - self._most
        self._kept = np.partition(joined, surplus, axis=0)[surplus:] if surplus > 0 else joined

    @property
    def values(self) -> NDArray[np.float32]:
        """What was kept (n, S), each species from low to high: the same to the last bit however the frames are cut.

        Raises:
            ValueError: nothing was pushed.
        """
        if self._kept is None:
            raise ValueError("a recording without frames has no score")
        return np.asarray(np.sort(self._kept, axis=0), np.float32)


class RecordingScore:
    """``clip``: what the model's clip head says of the whole; ``max``: the highest frame; ``top``: the mean of the ``top_s`` seconds
    of frames that are highest, together or not (of all frames, where there are fewer).
    """

    def __init__(self, settings: DecodeSettings, grid: FrameGrid) -> None:
        self._settings, self._grid = settings, grid
        self._top = HighestFrames(num_scored(settings, grid))
        self._clip: FrameArray | None = None

    def push(self, frames: FrameArray, clip: FrameArray) -> None:
        """Take the next frames (t, S), and what the clip head says (S,) of everything so far."""
        self._clip = clip
        if self._settings.recording_score != "clip":
            self._top.push(frames)

    @property
    def value(self) -> NDArray[np.float32]:
        """The score (S,) of what was pushed so far.

        Raises:
            ValueError: nothing was.
        """
        if self._clip is None:
            raise ValueError("a recording without frames has no score")
        if self._settings.recording_score == "clip":
            return self._clip
        return score_of_highest(self._top.values, self._settings, self._grid)


def num_scored(settings: DecodeSettings, grid: FrameGrid) -> int:
    """How many of the highest frames make the score of a recording."""
    return num_frames_of_top(settings.top_s, grid) if settings.recording_score == "top" else 1


def num_frames_of_top(top_s: float, grid: FrameGrid) -> int:
    """Frames in ``top_s``, 1 at least."""
    return max(round(top_s / grid.frame_s), 1)


def score_of_highest(highest: FrameArray, settings: DecodeSettings, grid: FrameGrid) -> NDArray[np.float32]:
    """The score (S,) ``max`` or ``top`` of a recording by its highest frames (n, S), each species from low to high."""
    return np.asarray(highest[-num_scored(settings, grid) :].mean(axis=0, dtype=np.float64), np.float32)
