"""Events of every candidate against the calls of recordings whose every call is known.

An event is right where at least half of it lies on calls of its species; a call is found where at least half of it is
covered by right events; any other event is a false alarm (intersection criterion of Bilen et al., 2020, equations 3 and 4,
with both tolerances at 0.5, as in DCASE's intersection-based F-score).
"""

from collections.abc import Sequence

import numpy as np

from rfcx_ssl.decoding.change_point import ChangePointDecoder
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.frame_events import FrameArray, whole_frames
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.decoding.median import MedianFilter
from rfcx_ssl.decoding.settings import DecoderKind
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.tuning.evidence import Timed
from rfcx_ssl.tuning.groups import Groups
from rfcx_ssl.tuning.tally import Candidate, IntArray, Shapes, Tally, blocks

TOLERANCE = 0.5


def count_calls(
    timed: Timed,
    num_species: int,
    groups: Groups,
    decoder: DecoderKind,
    thresholds: Sequence[float],
    shapes: Shapes,
) -> list[Tally]:
    """A tally per species: candidates in the order of :func:`rfcx_ssl.tuning.tally.candidates`."""
    events_of = _boxes if decoder == "change_point" else _events
    decoded = blocks({key: values for key, values in shapes.items() if key != "min_duration_s"})
    shortest = np.maximum(whole_frames(np.array(shapes["min_duration_s"]), timed.grid), 1)
    smoothings = len(decoded) * len(shortest)
    counts = np.zeros((2, num_species, groups.count, smoothings, len(thresholds)), np.int64)
    there, hours = np.zeros((num_species, groups.count), np.int64), np.zeros(groups.count)
    for recording, frames in timed.frames.items():
        group, duration_s = groups.of_recording[recording], timed.durations_s[recording]
        calls = np.array(timed.calls[recording], np.float64).reshape(-1, 3)
        np.add.at(there, (calls[:, 2].astype(np.int64), group), 1)
        hours[group] += duration_s / 3600
        for place, shape in enumerate(decoded):
            events = events_of(frames, shape, thresholds, timed.grid)
            for species in np.unique(events[:, 0]).tolist():
                own, mine = events[events[:, 0] == species], calls[calls[:, 2] == species, :2]
                for order, least in enumerate(shortest.tolist()):
                    long = own[own[:, 3] - own[:, 2] >= least]
                    span_s = np.minimum(long[:, 2:] * timed.grid.frame_s, duration_s)
                    found = match(span_s, long[:, 1], mine, len(thresholds))
                    counts[:, species, group, place * len(shortest) + order] += found
    flat = counts.reshape(2, num_species, groups.count, -1)
    return [Tally(flat[0, s], flat[1, s], there[s], hours) for s in range(num_species)]


def match(events_s: FloatArray, candidate: IntArray, calls_s: FloatArray, num_candidates: int) -> IntArray:
    """Calls found and false alarms (2, C) of one species in one recording.

    ``events_s`` (n, 2) are start and end of the events of all candidates, ``candidate`` (n,) says whose each is;
    ``calls_s`` (m, 2) are the calls, which do not overlap.
    """
    start, end = np.maximum(events_s[:, :1], calls_s[:, 0]), np.minimum(events_s[:, 1:], calls_s[:, 1])
    shared_s = np.maximum(end - start, 0.0)  # (n, m)
    right = shared_s.sum(axis=1) >= TOLERANCE * (events_s[:, 1] - events_s[:, 0]) - 1e-9
    covered_s = np.zeros((num_candidates, len(calls_s)))
    np.add.at(covered_s, candidate[right], shared_s[right])
    found = (covered_s >= TOLERANCE * (calls_s[:, 1] - calls_s[:, 0]) - 1e-9).sum(axis=1)
    return np.stack([found, np.bincount(candidate[~right], minlength=num_candidates)])


def _smooth(frames: FrameArray, median_s: float, grid: FrameGrid) -> FrameArray:
    """All species (T, S) through one median filter, once for all thresholds."""
    median = MedianFilter(whole_frames(np.full(frames.shape[1], median_s), grid) // 2)
    every, parts = np.arange(frames.shape[1]), []
    for block in (lambda: median.push(frames), median.finish):
        block()
        if median.num_centers:
            parts.append(median.columns(every))
    return np.concatenate(parts)


def _events(frames: FrameArray, shape: Candidate, thresholds: Sequence[float], grid: FrameGrid) -> IntArray:
    """Species, threshold, first frame and end of every event (n, 4) of every species at every threshold, by hysteresis."""
    size, frames = len(thresholds), _smooth(frames, shape["median_s"], grid)
    names = [str(column) for column in range(frames.shape[1] * size)]
    columns = decide(names, threshold=np.tile(thresholds, frames.shape[1]), median_s=0.0, min_duration_s=0.0)
    decoder = EventDecoder(columns, grid)
    found = [*decoder.push(np.repeat(frames, size, axis=1)), *decoder.finish()]
    rows = [(*divmod(event.species, size), event.start, event.end) for event in found]
    return np.array(rows, np.int64).reshape(-1, 4)


def _boxes(frames: FrameArray, shape: Candidate, thresholds: Sequence[float], grid: FrameGrid) -> IntArray:
    """The same by change points: where a box is does not depend on the threshold, so that one decoding serves all."""
    names = [str(column) for column in range(frames.shape[1])]
    every = decide(
        names,
        decoder="change_point",
        threshold=min(thresholds),
        min_duration_s=0.0,
        step_filter_s=shape["step_filter_s"],
        merge_absolute=shape["merge_absolute"],
        merge_relative=shape["merge_relative"],
    )
    decoder = ChangePointDecoder(every, grid)
    found = [*decoder.push(frames), *decoder.finish()]
    boxes = np.array([(box.species, box.start, box.end) for box in found], np.int64).reshape(-1, 3)
    scores = np.array([box.score for box in found], np.float32)
    box, threshold = np.nonzero(scores[:, None] >= np.array(thresholds, np.float32))  # as the decoder compares
    return np.column_stack([boxes[box, 0], threshold, boxes[box, 1:]])
