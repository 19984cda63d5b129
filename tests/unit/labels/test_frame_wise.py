import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import WHOLE, Event, Span
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.frames import FrameGrid, seconds_to_samples
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space, rfcx_species

SPACE = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1"), (0, 1), (None, None))
NOISY = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1", "noise"), (0, 1, -1), (None, None, None))
GRID = FrameGrid(1000, 100)


def box(species, start_s, end_s, *, present=True, weight=1.0, song=1):
    return Event(species, song, start_s, end_s, 100.0, 200.0, present, weight)


def tag(species, start_s, end_s, weight=1.0):
    return box(species, start_s, end_s, weight=weight)._replace(weak=True)


def loop_labels(events, grid, space, start_s, num_frames, tolerance_s, complete):
    """One cell at a time, counting samples: the rules of docs/labels.md in their order of precedence."""
    cells = np.zeros((2, num_frames, space.num_outputs))
    for frame in range(num_frames):
        for output, species in enumerate(space.output_species):
            own = [event for event in events if event.species_id == species]
            spans = [span for span in complete if span.species is None or species in span.species]
            cells[:, frame, output] = loop_cell(own, grid, start_s, frame, tolerance_s, spans)
    return cells


def loop_cell(events, grid, start_s, frame, tolerance_s, complete):
    rate, hop = grid.sample_rate_hz, grid.hop_samples

    def samples_inside(left_s, right_s):
        left, right = seconds_to_samples(left_s - start_s, rate), seconds_to_samples(right_s - start_s, rate)
        return sum(left <= n < right for n in range(frame * hop, (frame + 1) * hop))

    present, absent, near, tagged = [], [], False, False
    for event in events:
        if event.present and event.weak:
            tagged |= samples_inside(event.start_s, event.end_s) > 0
            continue
        margin = min(tolerance_s, (event.end_s - event.start_s) / 4)
        inner = samples_inside(event.start_s + margin, event.end_s - margin)
        near |= event.present and samples_inside(event.start_s - margin, event.end_s + margin) > 0
        if event.present and inner > 0:
            present.append(event.weight)
        elif not event.present and 2 * inner >= hop:
            absent.append(event.weight)
    if present:
        return 1, max(present)
    marked = not tagged and is_marked(complete, rate, start_s, frame * hop, hop)
    return 0, 0 if near else max([*absent, float(marked)])


def is_marked(spans, rate, start_s, first, hop):
    """Whether a run of marked samples fills at least half of a frame; a span from 0 on has no beginning."""
    run = best = 0
    for n in range(first, first + hop):
        inside = any(
            (span.start_s <= 0 or seconds_to_samples(span.start_s - start_s, rate) <= n)
            and (span.end_s == math.inf or n < seconds_to_samples(span.end_s - start_s, rate))
            for span in spans
        )
        run = run + 1 if inside else 0
        best = max(best, run)
    return 2 * best >= hop


boxes = st.builds(
    lambda species, start_s, length_s, present, weight: box(species, start_s, start_s + length_s, present=present, weight=weight),
    st.integers(0, 1), st.floats(0, 3), st.floats(0.05, 2), st.booleans(), st.sampled_from([0.25, 0.5, 1.0]),
)  # fmt: skip
rows = st.builds(lambda event, weak: event._replace(weak=weak), boxes, st.booleans())
hundredths = st.integers(0, 300).map(lambda n: n / 100)
spans = st.builds(
    lambda start_s, length_s, species: Span(start_s, start_s + length_s, species),
    hundredths, st.one_of(st.just(math.inf), st.integers(1, 200).map(lambda n: n / 100)),
    st.one_of(st.none(), st.frozensets(st.integers(0, 1), min_size=1)),
)  # fmt: skip


@settings(deadline=None, max_examples=120)
@given(
    st.lists(rows, max_size=5),
    st.floats(-0.2, 2),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.one_of(st.sampled_from([[], [WHOLE]]), st.lists(spans, max_size=4)),
    st.integers(3, 40),
)
def test_labels_equal_a_slow_loop_over_cells(events, start_s, num_frames, tolerance_s, complete, hop):
    grid = FrameGrid(100, hop)
    expected_target, expected_known = loop_labels(events, grid, SPACE, start_s, num_frames, tolerance_s, complete)
    target, known = frame_labels(
        events,
        grid,
        SPACE,
        start_s=start_s,
        num_frames=num_frames,
        edge_tolerance_s=tolerance_s,
        complete=complete,
    )
    np.testing.assert_array_equal(target, expected_target)
    np.testing.assert_array_equal(known, expected_known)


@settings(deadline=None, max_examples=80)
@given(st.lists(rows, max_size=5), st.one_of(st.sampled_from([[], [WHOLE]]), st.lists(spans, max_size=4)))
def test_a_cell_is_never_present_and_unknown(events, complete):
    target, known = frame_labels(
        events, GRID, NOISY, start_s=0.5, num_frames=20, edge_tolerance_s=0.1, complete=complete
    )
    assert target.dtype == known.dtype == np.float32 and target.shape == known.shape == (20, 3)
    assert not np.any((target > 0) & (known == 0))
    assert known.min() >= 0 and known.max() <= 1


def test_an_absent_box_says_nothing_outside_itself_nor_of_other_species():
    target, known = frame_labels([box(0, 0.2, 0.5, present=False)], GRID, SPACE, start_s=0.0, num_frames=8)
    assert known[:, 0].tolist() == [0, 0, 1, 1, 1, 0, 0, 0]
    assert target.sum() == 0 and known[:, 1].sum() == 0


def test_a_present_box_says_nothing_outside_itself_and_its_edges_are_unknown():
    events = [box(0, 0.2, 0.7)]
    target, known = frame_labels(events, GRID, SPACE, start_s=0.0, num_frames=9, edge_tolerance_s=0.1)
    assert target[:, 0].tolist() == known[:, 0].tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    target, known = frame_labels(
        events, GRID, SPACE, start_s=0.0, num_frames=9, edge_tolerance_s=0.1, complete=[WHOLE]
    )
    assert known[:, 0].tolist() == [1, 0, 0, 1, 1, 1, 0, 0, 1]
    assert known[:, 1].tolist() == [1] * 9


def test_where_boxes_contradict_each_other_the_heard_call_counts():
    events = [box(0, 0.0, 0.6, present=False), box(0, 0.2, 0.4)]
    target, known = frame_labels(events, GRID, SPACE, start_s=0.0, num_frames=6)
    assert target[:, 0].tolist() == [0, 0, 1, 1, 0, 0]
    assert known[:, 0].tolist() == [1] * 6


def test_overlapping_calls_of_two_species_are_both_present():
    target, _ = frame_labels([box(0, 0.0, 0.3), box(1, 0.2, 0.5)], GRID, SPACE, start_s=0.0, num_frames=5)
    assert target.tolist() == [[1, 0], [1, 0], [1, 1], [0, 1], [0, 1]]


def test_song_types_are_one_species_unless_split():
    events = [box(17, 0.0, 0.2, song=4)]
    target, known = frame_labels(events, GRID, label_space(rfcx_species()), start_s=0.0, num_frames=2)
    assert target.shape == (2, 24) and target[:, 17].tolist() == [1, 1]
    split = label_space(rfcx_species(), split_songtypes=True)
    target, known = frame_labels(events, GRID, split, start_s=0.0, num_frames=2)
    assert [split.output_names[k] for k in np.flatnonzero(target[0])] == ["s17_song4"]
    assert known[0, split.output_of(17, 1)] == 0
    with pytest.raises(AnnotationError, match="species 17 songtype 2"):
        frame_labels([box(17, 0.0, 0.2, song=2)], GRID, split, start_s=0.0, num_frames=2)


def test_noise_is_known_where_a_call_is_heard_or_a_complete_recording_is_silent():
    events = [box(0, 0.0, 0.2), box(1, 0.3, 0.4, present=False)]
    target, known = frame_labels(events, GRID, NOISY, start_s=0.0, num_frames=5)
    assert target[:, 2].tolist() == [0] * 5 and known[:, 2].tolist() == [1, 1, 0, 0, 0]
    target, known = frame_labels(events, GRID, NOISY, start_s=0.0, num_frames=5, complete=[WHOLE])
    assert target[:, 2].tolist() == [0, 0, 1, 1, 1] and known[:, 2].tolist() == [1] * 5


def labels_of(events, complete, space=NOISY):
    return frame_labels(
        events, GRID, space, start_s=0.5, num_frames=20, edge_tolerance_s=0.1, complete=complete
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, max_size=5), st.lists(hundredths, max_size=4), st.permutations(range(5)))
def test_spans_that_cover_everything_are_a_complete_recording_to_the_bit(events, cuts, order):
    edges = [0.0, *sorted(set(cuts) - {0.0}), math.inf]
    of_all = [Span(a, b) for a, b in itertools.pairwise(edges)]
    of_each = [Span(a, b, frozenset({species})) for a, b in itertools.pairwise(edges) for species in (0, 1)]
    pieces = [of_all[i] for i in order if i < len(of_all)]
    for spans in (pieces, of_each, [*of_each[1:], WHOLE]):
        for actual, expected in zip(labels_of(events, spans), labels_of(events, [WHOLE]), strict=True):
            np.testing.assert_array_equal(actual, expected)


@settings(deadline=None, max_examples=60)
@given(st.lists(rows, max_size=5), st.lists(spans, max_size=3), spans)
def test_a_tag_teaches_no_frame_and_a_span_changes_no_present_cell(events, complete, more):
    target, known = labels_of(events, complete)
    without, _ = labels_of([event for event in events if not (event.present and event.weak)], complete)
    np.testing.assert_array_equal(target[:, :2], without[:, :2])
    later_target, later_known = labels_of(events, [*complete, more])
    present = target[:, :2] > 0
    np.testing.assert_array_equal(later_target[:, :2], target[:, :2])
    np.testing.assert_array_equal(later_known[:, :2][present], known[:, :2][present])
    assert np.all(later_known[:, :2] >= known[:, :2]), "a span takes nothing back"


def test_a_tag_takes_back_the_absence_of_a_span_but_not_that_of_a_box():
    events = [tag(0, 0.2, 0.65), box(0, 0.3, 0.4, present=False, weight=0.5)]
    target, known = frame_labels(events, GRID, NOISY, start_s=0.0, num_frames=9, complete=[WHOLE])
    assert target[:, :2].sum() == 0 and known[:, 1].tolist() == [1] * 9
    assert known[:, 0].tolist() == [1, 1, 0, 0.5, 0, 0, 0, 1, 1]
    assert target[:, 2].tolist() == known[:, 2].tolist() == [1, 1, 0, 1, 0, 0, 0, 1, 1], "noise needs all to be absent"
    target, known = frame_labels([*events, box(0, 0.4, 0.5)], GRID, SPACE, start_s=0.0, num_frames=9)
    assert target[:, 0].tolist() == [0, 0, 0, 0, 1, 0, 0, 0, 0]
    assert known[:, 0].tolist() == [0, 0, 0, 0.5, 1, 0, 0, 0, 0]


def test_a_weak_absent_row_is_an_absent_box():
    absent = box(0, 0.2, 0.5, present=False)
    for actual, expected in zip(labels_of([absent._replace(weak=True)], []), labels_of([absent], []), strict=True):
        np.testing.assert_array_equal(actual, expected)


def test_a_span_is_about_its_time_and_its_species():
    spans = [Span(0.2, 0.45, frozenset({1}))]
    target, known = frame_labels([], GRID, NOISY, start_s=0.0, num_frames=7, complete=spans)
    assert known[:, 1].tolist() == [0, 0, 1, 1, 1, 0, 0] and known[:, [0, 2]].sum() == target.sum() == 0
    target, known = frame_labels(
        [], GRID, NOISY, start_s=0.0, num_frames=7, complete=[*spans, Span(0.3, 9.0, frozenset({0}))]
    )
    assert target[:, 2].tolist() == known[:, 2].tolist() == [0, 0, 0, 1, 1, 0, 0]
