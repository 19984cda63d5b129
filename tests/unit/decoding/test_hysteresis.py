"""Streaming event decoding against a slow, whole-recording reference."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import median_filter

from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.frame_events import FrameEvent, in_order
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(1000, 20)  # 20 ms frames


def decode(frames, options, cuts=()):
    decoder = EventDecoder(options, GRID)
    events = []
    for block in np.split(frames, sorted(cuts)):
        events += decoder.push(block)
    return in_order(events + decoder.finish())


def of_one(values, species):
    return {key: value[species] if np.ndim(value) else value for key, value in values.items()}


def reference(frames, values):
    """The definition, one species and one rule after the other, with the whole recording at hand."""
    events = []
    for species in range(frames.shape[1]):
        own = of_one(values, species)
        half = round(own["median_s"] / GRID.frame_s) // 2
        gap = round(own["merge_gap_s"] / GRID.frame_s)
        shortest = max(1, round(own["min_duration_s"] / GRID.frame_s))
        column = median_filter(frames[:, species], size=2 * half + 1, mode="nearest")
        runs, start = [], None
        for k, value in enumerate([*column, -1.0]):
            if value >= own["low_threshold"] and start is None:
                start = k
            elif value < own["low_threshold"] and start is not None:
                peak = column[start:k].max()
                if peak >= own["threshold"]:
                    runs.append([start, k, peak])
                start = None
        merged = []
        for run in runs:
            if merged and run[0] - merged[-1][1] <= gap:
                merged[-1][1:] = [run[1], max(run[2], merged[-1][2])]
            else:
                merged.append(run)
        events += [FrameEvent(a, b, species, float(peak)) for a, b, peak in merged if b - a >= shortest]
    return in_order(events)


def random_frames(seed, length, num_species=2):
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.random((length // 4 + 1, num_species)), 4, axis=0)[:length]
    return (rng.random((length, num_species)) * slow * 2).clip(0, 1).astype(np.float32)


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
    frames = random_frames(seed, length)
    values = {
        "threshold": 0.6,
        "low_threshold": 0.3,
        "median_s": median_s,
        "merge_gap_s": gap_s,
        "min_duration_s": shortest_s,
    }
    options = decide(["a", "b"], **values)
    expected = reference(frames, values)
    assert decode(frames, options) == expected
    assert decode(frames, options, [min(cut, length) for cut in cuts]) == expected


def per_species(low, high, count):
    return st.lists(st.sampled_from(np.linspace(low, high, 5).tolist()), min_size=count, max_size=count)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(0, 60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    threshold=per_species(0.2, 0.9, 4),
    share=per_species(0.1, 1.0, 4),
    median_s=per_species(0.0, 0.4, 4),
    gap_s=per_species(0.0, 0.3, 4),
    shortest_s=per_species(0.0, 0.2, 4),
)
def test_each_species_is_decoded_by_its_own_decisions(
    seed, length, cuts, threshold, share, median_s, gap_s, shortest_s
):
    frames = random_frames(seed, length, 4)
    values = {
        "threshold": np.float32(threshold),
        "low_threshold": np.float32(threshold) * np.float32(share),
        "median_s": np.array(median_s),
        "merge_gap_s": np.array(gap_s),
        "min_duration_s": np.array(shortest_s),
    }
    options = decide("abcd", **values)
    expected = reference(frames, values)
    assert decode(frames, options) == expected
    assert decode(frames, options, [min(cut, length) for cut in cuts]) == expected


def test_hand_made_example():
    column = [0.1, 0.4, 0.9, 0.4, 0.1, 0.4, 0.4, 0.0, 0.0, 0.0, 0.7, 0.0]
    options = decide(["a"], threshold=0.6, low_threshold=0.3, median_s=0, merge_gap_s=0.02, min_duration_s=0.04)
    events = decode(np.array(column, dtype=np.float32)[:, None], options)
    # frames 1-3 reach the threshold and keep their slopes; 5-6 never reach it; frame 10 alone is too short
    assert events == [FrameEvent(1, 4, 0, pytest.approx(0.9))]


def test_events_leave_as_soon_as_nothing_can_change_them():
    decoder = EventDecoder(decide(["a"], median_s=0, merge_gap_s=0.1, min_duration_s=0), GRID)
    assert decoder.push(np.ones((5, 1), dtype=np.float32)) == []
    assert decoder.push(np.zeros((5, 1), dtype=np.float32)) == []  # a gap of 5 frames may still be bridged
    assert decoder.push(np.zeros((1, 1), dtype=np.float32)) == [FrameEvent(0, 5, 0, 1.0)]
    assert decoder.finish() == []
