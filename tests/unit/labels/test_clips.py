import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import WHOLE, Event, Span
from rfcx_ssl.annotations.spans import uncovered_s
from rfcx_ssl.labels.clips import clip_labels, heard_outputs, tag_weight
from rfcx_ssl.species import LabelSpace, SpeciesTable

SPACE = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1"), (0, 1), (None, None))
NOISY = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1", "noise"), (0, 1, -1), (None, None, None))


def box(species, start_s, end_s, *, present=True, weight=1.0):
    return Event(species, 1, start_s, end_s, 100.0, 200.0, present, weight)


def tag(species, start_s, end_s, weight=1.0):
    return box(species, start_s, end_s, weight=weight)._replace(weak=True)


def state(events, space=SPACE, output=0, **options):
    """Target and known of one output in the crop from 10 to 15 s."""
    target, known = clip_labels(events, space, start_s=10.0, end_s=15.0, **options)
    return float(target[output]), float(known[output])


@pytest.mark.parametrize(
    "events,expected",
    [
        ([box(0, 11, 12)], (1, 1)),
        ([box(0, 9.5, 10.5)], (1, 1)),  # exactly half
        ([box(0, 9.4, 10.4)], (0, 0)),  # a sliver: unknown, not absent
        ([box(0, 5.0, 10.0)], (0, 0)),  # before the crop
        ([box(0, 8.0, 20.0)], (1, 1)),  # longer than the crop, which it fills
        ([box(0, 12.0, 22.0)], (1, 1)),  # fills 60 % of the crop
        ([box(0, 13.0, 23.0)], (0, 0)),
        ([box(1, 11, 12)], (0, 0)),  # another species
        ([box(0, 11, 12, weight=0.3)], (1, 0.3)),
        ([box(0, 11, 12, weight=0.3), box(0, 13, 14, weight=0.7)], (1, 0.7)),
    ],
)
def test_a_crop_is_present_by_the_share_of_the_call_inside(events, expected):
    assert state(events) == pytest.approx(expected)


def test_the_coverage_is_a_setting():
    assert state([box(0, 9.5, 10.5)], coverage=0.75) == (0, 0)
    assert state([box(0, 9.9, 10.9)], coverage=0.75) == (1, 1)


@pytest.mark.parametrize(
    "events,crop,whole_box",
    [
        ([box(0, 11, 12, present=False)], (0, 0), (0, 1)),
        ([box(0, 9.4, 10.4, present=False)], (0, 0), (0, 0)),
        ([box(0, 9, 12, present=False), box(0, 11.5, 15, present=False)], (0, 1), (0, 1)),
        ([box(0, 9, 12, present=False), box(0, 12.5, 15, present=False)], (0, 0), (0, 1)),
        ([box(0, 9, 16, present=False, weight=0.5)], (0, 0.5), (0, 0.5)),
        ([box(0, 9, 16, present=False), box(0, 14.9, 16)], (0, 0), (0, 0)),  # a sliver of a call
        ([box(0, 9, 16, present=False), box(0, 14, 15)], (1, 1), (1, 1)),
    ],
)
def test_absent_boxes_must_cover_the_crop_or_lie_in_it_by_the_rule_chosen(events, crop, whole_box):
    assert state(events, absent="crop") == crop
    assert state(events, absent="box") == whole_box


def test_in_a_complete_recording_silence_is_absence():
    assert state([], complete=[WHOLE]) == (0, 1)
    assert state([box(0, 9.4, 10.4)], complete=[WHOLE]) == (0, 0)
    assert state([box(0, 11, 12)], complete=[WHOLE], output=1) == (0, 1)


def test_noise_of_a_clip():
    assert state([], NOISY, 2) == (0, 0)
    assert state([], NOISY, 2, complete=[WHOLE]) == (1, 1)
    assert state([box(0, 11, 12, weight=0.5)], NOISY, 2) == (0, 0.5)


@settings(deadline=None, max_examples=100)
@given(st.floats(0, 20), st.floats(0.2, 12), st.floats(0.1, 1))
def test_coverage_matches_a_count_of_milliseconds(start_s, length_s, coverage):
    start, stop = round(start_s * 1000), round((start_s + length_s) * 1000)
    inside = len(range(max(start, 10_000), min(stop, 15_000)))
    share = inside / min(stop - start, 5000)
    if abs(share - coverage) < 0.02:
        return  # the count is only good to a millisecond
    target, known = clip_labels([box(0, start_s, start_s + length_s)], SPACE, start_s=10, end_s=15, coverage=coverage)
    assert target[0] == known[0] == (share >= coverage)
    assert np.all(known[1:] == 0)


def loop_state(events, spans, coverage, absent, start, stop):
    """Target and known of one output in a crop, second by second; ``spans`` are about its species."""
    present = [event for event in events if event.present and not event.weak]
    rejected = [event for event in events if not event.present]
    crop = set(range(start, stop))

    def seconds(event):
        return set(range(int(event.start_s), int(event.end_s)))

    weights = []
    for event in present:
        inside = seconds(event) & crop
        if inside and len(inside) / min(len(seconds(event)), len(crop)) >= coverage:
            weights.append(event.weight)
    ruled_out = set().union(*map(seconds, rejected))
    for event in events:
        if event.present and event.weak and (left := seconds(event) - ruled_out) & crop:
            weights.append(event.weight * len(left & crop) / len(left))
    if weights:
        return 1.0, max(weights)
    if any(seconds(event) & crop for event in present):
        return 0.0, 0.0
    if all(any(span.start_s <= second < span.end_s for span in spans) for second in crop):
        return 0.0, 1.0
    met = [event for event in rejected if seconds(event) & crop]
    if absent == "crop":
        return 0.0, min(event.weight for event in met) if crop <= ruled_out else 0.0
    shares = [(len(seconds(event) & crop) / min(len(seconds(event)), len(crop)), event.weight) for event in met]
    return 0.0, max((weight for share, weight in shares if share >= coverage), default=0.0)


rows = st.builds(
    lambda start, length, present, weak, weight: box(0, start, start + length, present=present, weight=weight)._replace(weak=weak),
    st.integers(5, 17), st.integers(1, 12), st.booleans(), st.booleans(), st.sampled_from([0.25, 0.5, 1.0]),
)  # fmt: skip
spans = st.builds(lambda start, length: Span(start, start + length), st.integers(1, 16), st.integers(1, 9))


@settings(deadline=None, max_examples=300)
@given(
    st.lists(rows, max_size=4),
    st.lists(spans, max_size=4),
    st.sampled_from([0.3, 0.5, 1.0]),
    st.sampled_from(["crop", "box"]),
)
def test_clip_labels_equal_a_slow_loop(events, complete, coverage, absent):
    expected = loop_state(events, complete, coverage, absent, 10, 15)
    assert state(events, coverage=coverage, absent=absent, complete=complete) == pytest.approx(expected)
    known = clip_labels(events, SPACE, start_s=10, end_s=15, complete=complete)[1]
    assert known[1] == loop_state([], complete, coverage, absent, 10, 15)[1], "another species is absent in the spans"


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, max_size=4), st.lists(st.integers(1, 20), max_size=4))
def test_spans_that_cover_the_crop_are_a_complete_recording(events, cuts):
    edges = [0, *sorted(set(cuts)), math.inf]
    of_all = [Span(a, b) for a, b in pairwise(edges)]
    of_each = [Span(a, b, frozenset({species})) for a, b in pairwise(edges) for species in (1, 0)]
    whole = clip_labels(events, NOISY, start_s=10, end_s=15, complete=[WHOLE])
    for pieces in (of_all[::-1], of_each):
        for actual, expected in zip(
            clip_labels(events, NOISY, start_s=10, end_s=15, complete=pieces), whole, strict=True
        ):
            np.testing.assert_array_equal(actual, expected)


@settings(deadline=None, max_examples=60)
@given(
    st.floats(0, 20), st.floats(0.1, 90), st.sampled_from([0.25, 1.0]), st.lists(st.floats(0, 1), max_size=6),
    st.lists(st.builds(lambda a, n: box(0, a, a + n, present=False), st.integers(0, 40), st.integers(1, 9)), max_size=2),
)  # fmt: skip
def test_the_weights_of_crops_that_divide_a_window_sum_to_the_weight_of_its_tag(
    start_s, length_s, weight, cuts, absent
):
    seen = tag(0, start_s, start_s + length_s, weight)
    edges = [start_s - 1, *sorted(start_s + cut * length_s for cut in cuts), start_s + length_s + 1]
    weights = [tag_weight(seen, absent, a, b) for a, b in pairwise(edges)]
    ruled_out = uncovered_s(absent, seen.start_s, seen.end_s) == 0
    assert sum(weights) == pytest.approx(0 if ruled_out else weight)
    crops = [clip_labels([seen, *absent], SPACE, start_s=a, end_s=b) for a, b in pairwise(edges) if a < b]
    taught = sum(float(target[0] * known[0]) for target, known in crops)
    assert taught == pytest.approx(sum(weights), rel=1e-5)


def test_a_tag_counts_as_much_as_the_crop_holds_of_its_window():
    assert state([tag(0, 11, 13, 0.5)]) == (1, 0.5)
    assert state([tag(0, 0, 60)]) == pytest.approx((1, 5 / 60))
    assert state([tag(0, 0, 60)], complete=[WHOLE]) == pytest.approx((1, 5 / 60)), "in spite of the span"
    assert state([tag(0, 0, 60), box(0, 11, 12)]) == (1, 1)
    assert state([tag(0, 11, 13, 0.5), box(0, 9.4, 10.4)]) == (1, 0.5), "a sliver of a box takes nothing back"
    assert state([tag(0, 0, 60), box(0, 5, 20, present=False)], absent="crop") == (0, 1), "not in this crop"
    assert state([tag(0, 0, 60), box(0, 20, 50, present=False)]) == pytest.approx((1, 5 / 30))
    assert state([tag(0, 11, 13)._replace(present=False)], absent="box") == (0, 1), "a weak absent row is a box"


def test_a_span_must_cover_the_crop_for_its_species():
    frogs = frozenset({0})
    assert state([], complete=[Span(10, 15, frogs)]) == (0, 1)
    assert state([], complete=[Span(10, 15, frogs)], output=1) == (0, 0)
    assert state([], complete=[Span(10, 14.9, frogs)]) == (0, 0)
    assert state([], complete=[Span(9, 12, frogs), Span(12, 20)]) == (0, 1)
    assert state([], NOISY, 2, complete=[Span(9, 12, frogs), Span(12, 20)]) == (0, 0)
    assert state([], NOISY, 2, complete=[Span(9, 20, frogs), Span(9, 20, frozenset({1}))]) == (1, 1)
    assert state([tag(0, 0, 60)], NOISY, 2, complete=[WHOLE]) == pytest.approx((0, 5 / 60))


def test_only_boxes_are_heard_for_sure():
    events = [tag(0, 11, 13), box(1, 14.9, 16)]
    assert heard_outputs(events, SPACE, start_s=10, end_s=15).tolist() == [False, True]
