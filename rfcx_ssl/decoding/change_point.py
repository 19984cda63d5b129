"""Sound event bounding boxes from change points, as frames stream in (after Ebbers, Germain, Wichern and Le Roux, "Sound
Event Bounding Boxes", Interspeech 2024, arXiv 2406.04212): where an event starts and ends does not depend on the threshold.

For each species, with zeros before and after the recording:

1. step filter: at each boundary between frames, the mean of the next ``half`` frames less that of the ``half`` before;
2. change points: of every stretch in which the filter does not change its sign, where it is furthest from zero (of equal ones,
   the last rise and the first fall: a call that is shorter than ``half`` keeps its length). They take turns: a rise starts a
   box, the next fall ends it;
3. from left to right, a box and the next become one where the mean g between them is near the higher mean c of the two:
   ``g > c - merge_absolute`` and ``g > c / merge_relative``;
4. a box scores its mean probability; it is an event where that reaches the threshold and it is long enough.

All sums are of integers (probabilities in steps of 2^-24, as float32 has them), so that they are exact however the frames are cut
into blocks. Work is vectorized over species; what is kept between blocks is one filter length of sums and one box each.
"""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.decoding.frame_events import FrameArray, FrameEvent, in_order, whole_frames
from rfcx_ssl.frames import FrameGrid

ONE = 1 << 24  # the integer of probability 1
MOST_VALUES = 1 << 20  # frames times species at once

IntArray: TypeAlias = NDArray[np.int64]
IndexArray: TypeAlias = NDArray[np.intp]


@dataclass
class _Boxes:
    """Stretches of n species: first and last boundary, and the sum of all probabilities before each."""

    start: IntArray
    end: IntArray
    sum_start: IntArray
    sum_end: IntArray

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean probability; 0 of nothing."""
        return np.asarray((self.sum_end - self.sum_start) / (ONE * np.maximum(self.end - self.start, 1)))

    def take(self, rows: IndexArray) -> "_Boxes":
        """Some of them, copied."""
        return _Boxes(self.start[rows], self.end[rows], self.sum_start[rows], self.sum_end[rows])


class _Stretches(NamedTuple):
    """Stretches of one sign, those of a species next to each other, by time."""

    species: IndexArray
    sign: IntArray  # of the step filter
    furthest: IntArray  # its largest absolute value
    boundary: IntArray  # where it is that far from zero
    sum: IntArray  # of all probabilities before that boundary

    def take(self, rows: IndexArray | NDArray[np.bool_]) -> "_Stretches":
        """Some of them, copied."""
        return _Stretches(*(values[rows] for values in self))

    def put(self, species: IndexArray, others: "_Stretches") -> None:
        """Replace those of some species, where there is one of each."""
        for values, new in zip(self[1:], others[1:], strict=True):
            values[species] = new


class ChangePointDecoder:
    """Push blocks (t, S) of frame probabilities in order, then finish; a box comes out when the next one is not merged into it."""

    def __init__(self, decisions: Decisions, grid: FrameGrid) -> None:
        count = len(decisions.species)
        self._half = half_lengths(decisions.step_filter_s, grid)
        self._late = int(self._half.max())  # frames that a boundary waits for
        self._threshold = decisions.threshold.astype(np.float32)
        self._shortest = np.maximum(whole_frames(decisions.min_duration_s, grid), 1)
        self._absolute, self._relative = decisions.merge_absolute, decisions.merge_relative
        self._next = 0  # the boundary to look at next
        self._sums = np.zeros((self._late + 1, count), np.int64)  # before boundary ``next - late`` and all later ones
        self._open = _nothing(count)  # the stretch of each species that is not over; sign 0: there was none yet
        self._rise = _nothing(count)  # the one before, where that is a fall
        self._held = _Boxes(*(np.zeros(count, np.int64) for _ in range(4)))  # the next box may yet be merged into it

    def push(self, frames: FrameArray) -> list[FrameEvent]:
        """Take the next frames (t, S)."""
        step = max(MOST_VALUES // frames.shape[1], 1)
        found: list[FrameEvent] = []
        for first in range(0, len(frames), step):
            found += self._push(np.rint(frames[first : first + step].astype(np.float64) * ONE).astype(np.int64))
        return in_order(found)

    def finish(self) -> list[FrameEvent]:
        """The recording is over: close what is open."""
        found = self._push(np.zeros((self._late, len(self._half)), np.int64))
        ended = np.flatnonzero(self._open.sign < 0)
        found += self._merge(ended, _between(self._rise.take(ended), self._open.take(ended)))
        return in_order(found + self._events(np.arange(len(self._half)), self._held))

    def _push(self, values: IntArray) -> list[FrameEvent]:
        """Look at the boundaries whose filter is complete with the next frames."""
        sums = np.concatenate([self._sums, self._sums[-1] + values.cumsum(axis=0)])
        count = max(len(sums) - 2 * self._late, 0)
        self._sums = sums[count:]
        if not count:
            return []
        stretches = self._continued(find_stretches(sums, self._half, self._next, self._open.sign))
        self._next += count
        last = np.diff(stretches.species, append=-1) != 0
        self._open.put(stretches.species[last], stretches.take(last))
        rises = np.flatnonzero((stretches.sign > 0) & ~last)
        going_on = last[rises + 1]  # the fall may yet get steeper
        self._rise.put(stretches.species[rises[going_on]], stretches.take(rises[going_on]))
        rises = rises[~going_on]
        return self._merge(stretches.species[rises], _between(stretches.take(rises), stretches.take(rises + 1)))

    def _continued(self, found: _Stretches) -> _Stretches:
        """What was found since, behind what was not over before."""
        rise = self._rise.take(np.flatnonzero(self._open.sign < 0))
        rows = [rise, self._open.take(np.flatnonzero(self._open.sign != 0)), found]
        joined = _Stretches(*(np.concatenate(parts) for parts in zip(*rows, strict=True)))
        joined = joined.take(np.argsort(joined.species, kind="stable"))
        same = (np.diff(joined.species, prepend=-1) == 0) & (np.diff(joined.sign, prepend=0) == 0)
        again = np.flatnonzero(same)  # goes on where the block before ended
        before = joined.furthest[again - 1] + (
            joined.sign[again] < 0
        )  # of equal ones, the last rise and the first fall
        further = joined.furthest[again] >= before
        keep = np.ones(len(same), np.bool_)
        keep[np.where(further, again - 1, again)] = False
        return joined.take(keep)

    def _merge(self, species: IndexArray, boxes: _Boxes) -> list[FrameEvent]:
        """Take complete boxes, those of a species next to each other, by time: all first ones at once, then all second ones."""
        found: list[FrameEvent] = []
        if not len(species):
            return found
        first = np.flatnonzero(np.diff(species, prepend=-1))
        rank = np.arange(len(species)) - np.repeat(first, np.diff(first, append=len(species)))
        for rows in np.split(np.argsort(rank, kind="stable"), np.cumsum(np.bincount(rank))[:-1]):
            own, new = species[rows], boxes.take(rows)
            held = self._held.take(own)
            between = _Boxes(held.end, new.start, held.sum_end, new.sum_start).mean
            higher = np.maximum(held.mean, new.mean)
            near = (between > higher - self._absolute[own]) & (between > higher / self._relative[own])
            near &= held.end > held.start
            found += self._events(own[~near], held.take(np.flatnonzero(~near)))
            self._held.start[own] = np.where(near, held.start, new.start)
            self._held.sum_start[own] = np.where(near, held.sum_start, new.sum_start)
            self._held.end[own], self._held.sum_end[own] = new.end, new.sum_end
        return found

    def _events(self, species: IndexArray, boxes: _Boxes) -> list[FrameEvent]:
        """The boxes, one of each species, that score enough and are long enough."""
        score = boxes.mean
        high = score.astype(np.float32) >= self._threshold[species]
        good = np.flatnonzero(high & (boxes.end - boxes.start >= self._shortest[species]))
        parts = boxes.start[good], boxes.end[good], species[good], score[good]
        return [FrameEvent(*event) for event in zip(*(part.tolist() for part in parts), strict=True)]


def find_stretches(sums: IntArray, half: IntArray, first: int, sign_before: IntArray) -> _Stretches:
    """Stretches of one sign among the boundaries of a block whose filter is complete.

    Args:
        sums: (late + n + late, S) sums before each boundary, ``late`` the longest of ``half``; the filter is that of the n in the middle.
        half: (S,) frames on each side of the filter's center.
        first: the first of the n boundaries.
        sign_before: (S,) of the stretch that the block before ended in. Where the filter is 0, a stretch goes on.
    """
    late = int(half.max())
    count = len(sums) - 2 * late
    step = np.empty((len(half), count), np.int64)
    for length in np.unique(half).tolist():
        own = half == length
        before, center, after = (sums[late + k : late + k + count, own] for k in (-length, 0, length))
        step[own] = (after - 2 * center + before).T
    sign = np.sign(step)
    latest = np.maximum.accumulate(np.where(sign != 0, np.arange(count), -1), axis=1)
    sign = np.where(latest >= 0, np.take_along_axis(sign, np.maximum(latest, 0), axis=1), sign_before[:, None])
    begins = np.diff(sign, axis=1, prepend=0) != 0
    begins[:, 0] = True
    starts = np.flatnonzero(begins)
    size = np.abs(step).ravel()
    furthest = np.maximum.reduceat(size, starts)
    stretch = begins.ravel().cumsum() - 1
    there = np.flatnonzero(size == furthest[stretch])
    own, rising = stretch[there], sign.ravel()[there] > 0
    there = there[np.where(rising, np.diff(own, append=-1), np.diff(own, prepend=-1)) != 0]  # one of each stretch
    species, place = there // count, there % count
    found = _Stretches(species, sign.ravel()[starts], furthest, first + place, sums[late + place, species])
    return found.take(found.sign != 0)


def half_lengths(seconds: NDArray[np.float64], grid: FrameGrid) -> IntArray:
    """Frames on each side of the step filter's center (S,), at least one."""
    return np.maximum(whole_frames(seconds / 2, grid), 1)


def _between(rises: _Stretches, falls: _Stretches) -> _Boxes:
    """Boxes from each rise to its fall."""
    return _Boxes(rises.boundary, falls.boundary, rises.sum, falls.sum)


def _nothing(count: int) -> _Stretches:
    """No stretch of any of ``count`` species."""
    return _Stretches(np.arange(count), *(np.zeros(count, np.int64) for _ in range(4)))
