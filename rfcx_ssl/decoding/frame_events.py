"""What every decoder answers, and how it is asked."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.frames import FrameGrid

FrameArray: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FrameEvent:
    """Frames ``[start, end)`` of one species column."""

    start: int
    end: int
    species: int
    score: float  # a probability; the decoder says which


class Decoder(Protocol):
    """One recording's frames in, its events out; however the frames are cut into blocks, the events are the same."""

    def push(self, frames: FrameArray) -> list[FrameEvent]:
        """Take the next frames (t, S) of probabilities; events that nothing can change any more."""

    def finish(self) -> list[FrameEvent]:
        """The recording is over: the remaining events."""


def in_order(events: list[FrameEvent]) -> list[FrameEvent]:
    """Events by start, then species."""
    return sorted(events, key=lambda event: (event.start, event.species))


def whole_frames(seconds: NDArray[np.float64], grid: FrameGrid) -> NDArray[np.int64]:
    """The nearest whole number of frames for each time (S,)."""
    return np.rint(seconds / grid.frame_s).astype(np.int64)
