"""From frame probabilities to events, as they stream in: however the frames are cut into blocks, the events are the same.

For each species: median filter; runs of frames at or above the low threshold whose peak reaches the high one; runs with
a short gap between them merged; short events dropped. An event's score is its highest filtered probability.
"""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.decoding.frame_events import FrameArray, FrameEvent, in_order, whole_frames
from rfcx_ssl.decoding.median import MedianFilter
from rfcx_ssl.frames import FrameGrid


class EventDecoder:
    """Push blocks (t, S) of frame probabilities in order, then finish; events come out once nothing can change them."""

    def __init__(self, decisions: Decisions, grid: FrameGrid) -> None:
        self._high: list[float] = decisions.threshold.astype(np.float32).tolist()
        self._low = decisions.low_threshold.astype(np.float32)
        self._filter = MedianFilter(whole_frames(decisions.median_s, grid) // 2)
        self._gap: list[int] = whole_frames(decisions.merge_gap_s, grid).tolist()
        self._shortest: list[int] = np.maximum(whole_frames(decisions.min_duration_s, grid), 1).tolist()
        self._decoded = 0  # frames decoded so far
        self._open: dict[int, tuple[int, float]] = {}  # start and peak of a species' run without an end
        self._waiting: dict[int, FrameEvent] = {}  # a next run may yet be merged into it

    def push(self, frames: FrameArray) -> list[FrameEvent]:
        """Take the next frames (t, S)."""
        return self._decode(self._filter.push(frames)) if len(frames) else []

    def finish(self) -> list[FrameEvent]:
        """The recording is over: close what is open."""
        inside = self._filter.finish()
        done = [] if inside is None else self._decode(inside)
        for species in [*self._open]:
            self._close(species, self._decoded, done)
        for species in [*self._waiting]:
            self._release(species, done)
        return in_order(done)

    def _decode(self, inside: FrameArray) -> list[FrameEvent]:
        """Follow the species with something to follow: where no frame reaches the low threshold, no median does."""
        done: list[FrameEvent] = []
        first, count = self._decoded, self._filter.num_centers
        self._decoded += count
        if not count:
            return done
        reached: NDArray[np.bool_] = np.any(inside >= self._low, axis=0)
        reached[list(self._open)] = True
        followed = np.flatnonzero(reached)
        smooth = self._filter.columns(followed)
        active = smooth >= self._low[followed]
        for place, species in enumerate(followed.tolist()):
            self._decode_column(species, smooth[:, place], active[:, place], first, done)
        for species, waiting in [*self._waiting.items()]:
            reach = self._open[species][0] if species in self._open else self._decoded
            if reach - waiting.end > self._gap[species]:
                self._release(species, done)
        return in_order(done)

    def _decode_column(
        self, species: int, column: FrameArray, active: NDArray[np.bool_], first: int, done: list[FrameEvent]
    ) -> None:
        """Follow the runs of one species through a block that begins at frame ``first``."""
        edges = np.flatnonzero(np.diff(active, prepend=species in self._open))
        start = 0
        for edge in [*edges.tolist(), len(column)]:
            run = self._open.get(species)
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
        start, peak = self._open.pop(species)
        if peak < self._high[species]:
            return
        waiting = self._waiting.get(species)
        if waiting is not None and start - waiting.end <= self._gap[species]:
            start, peak = waiting.start, max(peak, waiting.score)
        else:
            self._release(species, done)
        self._waiting[species] = FrameEvent(start, end, species, peak)

    def _release(self, species: int, done: list[FrameEvent]) -> None:
        """Nothing can be merged into the waiting event any more."""
        event = self._waiting.pop(species, None)
        if event is not None and event.end - event.start >= self._shortest[species]:
            done.append(event)
