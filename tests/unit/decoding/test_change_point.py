"""Change-point boxes, streaming and vectorized, against one species after the other with the whole recording at hand."""

from fractions import Fraction
from itertools import groupby, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.decoding import change_point
from rfcx_ssl.decoding.change_point import ChangePointDecoder
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.frame_events import FrameEvent, in_order
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(1000, 20)  # 20 ms frames
PARAMETERS = ("threshold", "min_duration_s", "step_filter_s", "merge_absolute", "merge_relative")


def decode(frames, decisions, cuts=()):
    decoder = ChangePointDecoder(decisions, GRID)
    events = []
    for block in np.split(frames, sorted(cuts)):
        events += decoder.push(block)
    return in_order(events + decoder.finish())


def mean(values):
    return sum(values, Fraction(0)) / max(len(values), 1)


def change_points(y, half):
    """Boundary of the largest step of each stretch of one sign."""
    padded = [Fraction(0)] * half + y + [Fraction(0)] * half
    steps = [mean(padded[k + half : k + 2 * half]) - mean(padded[k : k + half]) for k in range(len(y) + 1)]
    moving = [(k, step) for k, step in enumerate(steps) if step]
    stretches = [list(group) for _, group in groupby(moving, key=lambda item: item[1] > 0)]
    # of equal ones, the last rise and the first fall
    return [
        max(stretch, key=lambda item: (abs(item[1]), item[0] if item[1] > 0 else -item[0]))[0] for stretch in stretches
    ]


def merged(boxes, y, absolute, relative):
    held = []
    for start, end in boxes:
        if held:
            between = mean(y[held[-1][1] : start])
            higher = max(mean(y[slice(*held[-1])]), mean(y[start:end]))
            if float(between) > float(higher) - absolute and float(between) > float(higher) / relative:
                held[-1] = (held[-1][0], end)
                continue
        held.append((start, end))
    return held


def reference(frames, decisions):
    events = []
    for species in range(frames.shape[1]):
        threshold, shortest_s, filter_s, absolute, relative = (getattr(decisions, key)[species] for key in PARAMETERS)
        y = [Fraction(round(float(value) * 2**24), 2**24) for value in frames[:, species]]
        points = change_points(y, max(1, round(filter_s / 2 / GRID.frame_s)))
        assert len(points) % 2 == 0  # a rise and a fall take turns
        for start, end in merged(list(zip(points[::2], points[1::2], strict=True)), y, absolute, relative):
            score = float(mean(y[start:end]))
            if score >= np.float32(threshold) and end - start >= max(1, round(shortest_s / GRID.frame_s)):
                events.append(FrameEvent(start, end, species, score))
    return in_order(events)


def per_species(*choices):
    return st.lists(st.sampled_from(choices), min_size=3, max_size=3)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(0, 70),
    cuts=st.lists(st.integers(0, 70), max_size=6),
    at_once=st.sampled_from([1, 12, 1 << 20]),
    values=st.fixed_dictionaries(
        {
            "threshold": per_species(0.01, 0.3, 0.6),
            "min_duration_s": per_species(0.0, 0.1),
            "step_filter_s": per_species(0.02, 0.08, 0.12, 0.3),
            "merge_absolute": per_species(0.0, 0.2, 1.0),
            "merge_relative": per_species(1.0, 1.5, 4.0, 1000.0),
        }
    ),
)
def test_any_blocks_give_the_boxes_of_the_definition(seed, length, cuts, at_once, values):
    rng = np.random.default_rng(seed)
    slow = np.repeat(rng.random((length // 6 + 1, 3)) ** 2, 6, axis=0)[:length]
    frames = (slow + rng.choice([0, 0.1, 0.4]) * rng.random((length, 3))).clip(0, 1).astype(np.float32)
    frames[rng.random((length, 3)) < rng.choice([0, 0.3])] = 0  # some filters are exactly zero
    frames = np.round(frames, rng.choice([1, 8])).astype(np.float32)  # some are equal
    decisions = decide("abc", decoder="change_point", **values)
    expected = reference(frames, decisions)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(change_point, "MOST_VALUES", at_once)
        assert decode(frames, decisions) == expected
        assert decode(frames, decisions, [min(cut, length) for cut in cuts]) == expected


def plateau(*levels):
    return np.concatenate([np.full(count, level, np.float32) for level, count in levels])[:, None]


def test_a_box_is_where_the_steps_are_whatever_the_threshold():
    frames = plateau((0.0, 20), (0.3, 10), (0.0, 20), (0.9, 15), (0.0, 5))
    for threshold, starts in ((0.1, [20, 50]), (0.29, [20, 50]), (0.31, [50]), (0.89, [50]), (0.91, [])):
        events = decode(frames, decide(["a"], decoder="change_point", threshold=threshold, step_filter_s=0.2))
        assert [event.start for event in events] == starts
        assert all(event.end - event.start == (10 if event.start == 20 else 15) for event in events)


def test_what_lasts_to_the_ends_of_the_recording_has_boxes_that_do():
    frames = plateau((0.8, 10), (0.0, 20), (0.8, 10))
    events = decode(frames, decide(["a"], decoder="change_point"))
    assert [(event.start, event.end) for event in events] == [(0, 10), (30, 40)]
    assert decode(np.full((6, 1), 0.9, np.float32), decide(["a"], decoder="change_point"))[0].end == 6


@pytest.mark.parametrize(
    ("gap", "absolute", "relative", "boxes"),
    [(0.65, 0.2, 2.0, 1), (0.55, 0.2, 2.0, 2), (0.55, 0.3, 2.0, 1), (0.55, 0.3, 1.2, 2), (0.0, 1.0, 1000.0, 2)],
)
def test_a_shallow_gap_is_none(gap, absolute, relative, boxes):
    frames = plateau((0.0, 20), (0.8, 20), (gap, 20), (0.8, 20), (0.0, 20))
    options = {"step_filter_s": 0.2, "merge_absolute": absolute, "merge_relative": relative}
    events = decode(frames, decide(["a"], decoder="change_point", **options))
    assert len(events) == boxes and events[0].start == 20 and events[-1].end == 80


def test_a_faint_call_does_not_lengthen_a_loud_one():
    frames = plateau((0.01, 20), (0.9, 10), (0.012, 20), (0.02, 10), (0.01, 20))
    (event,) = decode(frames, decide(["a"], decoder="change_point", step_filter_s=0.2))
    assert event == FrameEvent(20, 30, 0, pytest.approx(0.9))


def test_memory_does_not_grow():
    decoder = ChangePointDecoder(decide("abc", decoder="change_point"), GRID)
    rng = np.random.default_rng(0)
    for _ in range(20):
        decoder.push(rng.random((50, 3), dtype=np.float32))
        assert len(decoder._sums) <= 2 * decoder._late


def test_pairs_of_the_reference_take_turns():
    points = change_points([Fraction(int(v), 10) for v in "0039910024980"], 2)
    assert all(a < b for a, b in pairwise(points))
