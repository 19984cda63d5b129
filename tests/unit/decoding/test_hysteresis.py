"""Streaming event decoding against a slow, whole-recording reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from rfcx_ssl.decoding.hysteresis import EventDecoder, FrameEvent
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(1000, 20)  # 20 ms frames


def decode(frames, options, cuts=()):
    decoder = EventDecoder(options, GRID, frames.shape[1])
    events = []
    for block in np.split(frames, sorted(cuts)):
        events += decoder.push(block)
    return sorted(events + decoder.finish(), key=lambda e: (e.start, e.species))


def reference(frames, options):
    """The definition, one species and one rule after the other, with the whole recording at hand."""
    half = round(options.median_s / GRID.frame_s) // 2
    gap = round(options.merge_gap_s / GRID.frame_s)
    shortest = max(1, round(options.min_duration_s / GRID.frame_s))
    events = []
    for species in range(frames.shape[1]):
        column = median_filter(frames[:, species], size=2 * half + 1, mode="nearest")
        runs, start = [], None
        for k, value in enumerate([*column, -1.0]):
            if value >= options.low and start is None:
                start = k
            elif value < options.low and start is not None:
                peak = column[start:k].max()
                if peak >= options.threshold:
                    runs.append([start, k, peak])
                start = None
        merged = []
        for run in runs:
            if merged and run[0] - merged[-1][1] <= gap:
                merged[-1][1:] = [run[1], max(run[2], merged[-1][2])]
            else:
                merged.append(run)
        events += [FrameEvent(a, b, species, float(peak)) for a, b, peak in merged if b - a >= shortest]
    return sorted(events, key=lambda e: (e.start, e.species))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(0, 60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    median_s=st.sampled_from([0.0, 0.06, 0.14]),
    gap_s=st.sampled_from([0.0, 0.04, 0.2]),
    shortest_s=st.sampled_from([0.0, 0.06]),
)
def test_any_blocks_give_the_events_of_the_definition(seed, length, cuts, median_s, gap_s, shortest_s):
    rng = np.random.default_rng(seed)
    frames = (rng.random((length, 2)) * np.repeat(rng.random((length // 4 + 1, 2)), 4, axis=0)[:length] * 2).clip(0, 1)
    frames = frames.astype(np.float32)
    options = DetectSettings(
        threshold=0.6, low_threshold=0.3, median_s=median_s, merge_gap_s=gap_s, min_duration_s=shortest_s
    )
    expected = reference(frames, options)
    assert decode(frames, options) == expected
    assert decode(frames, options, [min(cut, length) for cut in cuts]) == expected


def test_hand_made_example():
    column = [0.1, 0.4, 0.9, 0.4, 0.1, 0.4, 0.4, 0.0, 0.0, 0.0, 0.7, 0.0]
    options = DetectSettings(threshold=0.6, low_threshold=0.3, median_s=0, merge_gap_s=0.02, min_duration_s=0.04)
    events = decode(np.array(column, dtype=np.float32)[:, None], options)
    # frames 1-3 reach the threshold and keep their slopes; 5-6 never reach it; frame 10 alone is too short
    assert events == [FrameEvent(1, 4, 0, pytest.approx(0.9))]


def test_events_leave_as_soon_as_nothing_can_change_them():
    decoder = EventDecoder(DetectSettings(median_s=0, merge_gap_s=0.1, min_duration_s=0), GRID, 1)
    assert decoder.push(np.ones((5, 1), dtype=np.float32)) == []
    assert decoder.push(np.zeros((5, 1), dtype=np.float32)) == []  # a gap of 5 frames may still be bridged
    assert decoder.push(np.zeros((1, 1), dtype=np.float32)) == [FrameEvent(0, 5, 0, 1.0)]
    assert decoder.finish() == []
