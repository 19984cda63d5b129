"""From frame probabilities to events, as they stream in: however the frames are cut into blocks, the events are the same.

For each species: median filter; runs of frames at or above the low threshold whose peak reaches the high one; runs with
a short gap between them merged; short events dropped.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FrameEvent:
    """Frames ``[start, end)`` of one species column; ``peak`` is the highest smoothed probability."""

    start: int
    end: int
    species: int
    peak: float


class EventDecoder:
    """Push blocks (t, S) of frame probabilities in order, then finish; events come out once nothing can change them."""

    def __init__(self, settings: DecodeSettings, grid: FrameGrid, num_species: int) -> None:
        self._high, self._low = settings.threshold, settings.low
        self._half = round(settings.median_s / grid.frame_s) // 2  # frames on each side of the filter's center
        self._gap = round(settings.merge_gap_s / grid.frame_s)
        self._shortest = max(1, round(settings.min_duration_s / grid.frame_s))
        self._tail: FloatArray | None = None  # frames the median filter still needs
        self._decoded = 0  # frames decoded so far
        self._open: list[tuple[int, float] | None] = [None] * num_species  # start and peak of a run without an end
        self._waiting: list[FrameEvent | None] = [None] * num_species  # a next run may yet be merged into it

    def push(self, frames: FloatArray) -> list[FrameEvent]:
        """Take the next frames (t, S)."""
        if not len(frames):
            return []
        if self._tail is None:
            self._tail = np.repeat(frames[:1], self._half, axis=0)
        return self._decode(self._smooth(frames))

    def finish(self) -> list[FrameEvent]:
        """The recording is over: close what is open."""
        if self._tail is None:
            return []
        done = self._decode(self._smooth(np.repeat(self._tail[-1:], self._half, axis=0))) if self._half else []
        for species in range(len(self._open)):
            self._close(species, self._decoded, done)
            self._release(species, done)
        return sorted(done, key=lambda event: (event.start, event.species))

    def _smooth(self, frames: FloatArray) -> FloatArray:
        """Median over ``2 * half + 1`` frames; the first and last frame are repeated beyond the ends."""
        assert self._tail is not None
        if not self._half:
            self._tail = frames[-1:]
            return frames
        joined = np.concatenate([self._tail, frames])
        self._tail = joined[-2 * self._half :]
        if len(joined) <= 2 * self._half:
            return joined[:0]
        windows = np.lib.stride_tricks.sliding_window_view(joined, 2 * self._half + 1, axis=0)
        smooth: FloatArray = np.median(windows, axis=-1).astype(np.float32)
        return smooth

    def _decode(self, frames: FloatArray) -> list[FrameEvent]:
        done: list[FrameEvent] = []
        first, self._decoded = self._decoded, self._decoded + len(frames)
        if not len(frames):
            return done
        active = frames >= self._low
        for species in range(frames.shape[1]):
            self._decode_column(species, frames[:, species], active[:, species], first, done)
            waiting, run = self._waiting[species], self._open[species]
            reach = self._decoded if run is None else run[0]
            if waiting is not None and reach - waiting.end > self._gap:
                self._release(species, done)
        return sorted(done, key=lambda event: (event.start, event.species))

    def _decode_column(
        self, species: int, column: FloatArray, active: NDArray[np.bool_], first: int, done: list[FrameEvent]
    ) -> None:
        """Follow the runs of one species through a block that begins at frame ``first``."""
        edges = np.flatnonzero(np.diff(active, prepend=self._open[species] is not None))
        start = 0
        for edge in [*edges.tolist(), len(column)]:
            run = self._open[species]
            if run is not None:
                self._open[species] = (run[0], max(run[1], float(column[start:edge].max(initial=0.0))))
            if edge == len(column):
                break
            if run is None:
                self._open[species] = (first + edge, 0.0)
            else:
                self._close(species, first + edge, done)
            start = edge

    def _close(self, species: int, end: int, done: list[FrameEvent]) -> None:
        """End the open run at frame ``end``; drop it, merge it into the waiting event, or let it wait."""
        run, waiting = self._open[species], self._waiting[species]
        self._open[species] = None
        if run is None or run[1] < self._high:
            return
        start, peak = run
        if waiting is not None and start - waiting.end <= self._gap:
            start, peak = waiting.start, max(peak, waiting.peak)
        else:
            self._release(species, done)
        self._waiting[species] = FrameEvent(start, end, species, peak)

    def _release(self, species: int, done: list[FrameEvent]) -> None:
        """Nothing can be merged into the waiting event any more."""
        event = self._waiting[species]
        self._waiting[species] = None
        if event is not None and event.end - event.start >= self._shortest:
            done.append(event)
