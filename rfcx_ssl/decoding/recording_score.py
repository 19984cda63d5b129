"""One score per species for a whole recording, as its pieces stream in: to rank recordings by."""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.frame_events import FrameArray
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid


class RecordingScore:
    """``clip``: what the model's clip head says of the whole; ``max``: the highest frame; ``top``: the mean of the ``top_s`` seconds
    of frames that are highest, together or not (of all frames, where there are fewer).

    Memory does not grow with the recording.
    """

    def __init__(self, settings: DecodeSettings, grid: FrameGrid) -> None:
        self._kind = settings.recording_score
        self._most = max(round(settings.top_s / grid.frame_s), 1) if self._kind == "top" else 1
        self._top: FrameArray | None = None  # (at most ``most``, S) the highest frames so far
        self._clip: FrameArray | None = None

    def push(self, frames: FrameArray, clip: FrameArray) -> None:
        """Take the next frames (t, S), and what the clip head says (S,) of everything so far."""
        self._clip = clip
        if self._kind == "clip":
            return
        joined = frames if self._top is None else np.concatenate([self._top, frames])
        kept = len(joined) - self._most
        self._top = np.partition(joined, kept, axis=0)[kept:] if kept > 0 else joined

    @property
    def value(self) -> NDArray[np.float32]:
        """The score (S,) of what was pushed so far.

        Raises:
            ValueError: nothing was.
        """
        if self._clip is None:
            raise ValueError("a recording without frames has no score")
        if self._top is None:
            return self._clip
        # sorted, so that the sum is the same to the last bit however the frames are cut
        return np.asarray(np.sort(self._top, axis=0).mean(axis=0, dtype=np.float64), np.float32)
