import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import WHOLE, Event
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.frames import FrameGrid, seconds_to_samples
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space, rfcx_species

SPACE = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1"), (0, 1), (None, None))
NOISY = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1", "noise"), (0, 1, -1), (None, None, None))
GRID = FrameGrid(1000, 100)


def box(species, start_s, end_s, *, present=True, weight=1.0, song=1):
    return Event(species, song, start_s, end_s, 100.0, 200.0, present, weight)


def loop_labels(events, grid, space, start_s, num_frames, tolerance_s, complete):
    """One cell at a time, counting samples: the rules of docs/labels.md in their order of precedence."""
    cells = np.zeros((2, num_frames, space.num_outputs))
    for frame in range(num_frames):
        for output, species in enumerate(space.output_species):
            own = [event for event in events if event.species_id == species]
            cells[:, frame, output] = loop_cell(own, grid, start_s, frame, tolerance_s, complete)
    return cells


def loop_cell(events, grid, start_s, frame, tolerance_s, complete):
    rate, hop = grid.sample_rate_hz, grid.hop_samples

    def samples_inside(left_s, right_s):
        left, right = seconds_to_samples(left_s - start_s, rate), seconds_to_samples(right_s - start_s, rate)
        return sum(left <= n < right for n in range(frame * hop, (frame + 1) * hop))

    present, absent, near = [], [], False
    for event in events:
        margin = min(tolerance_s, (event.end_s - event.start_s) / 4)
        inner = samples_inside(event.start_s + margin, event.end_s - margin)
        near |= event.present and samples_inside(event.start_s - margin, event.end_s + margin) > 0
        if event.present and inner > 0:
            present.append(event.weight)
        elif not event.present and 2 * inner >= hop:
            absent.append(event.weight)
    if present:
        return 1, max(present)
    return 0, 0 if near else 1 if complete else max(absent, default=0)


boxes = st.builds(
    lambda species, start_s, length_s, present, weight: box(species, start_s, start_s + length_s, present=present, weight=weight),
    st.integers(0, 1), st.floats(0, 3), st.floats(0.05, 2), st.booleans(), st.sampled_from([0.25, 0.5, 1.0]),
)  # fmt: skip


@settings(deadline=None, max_examples=120)
@given(
    st.lists(boxes, max_size=5),
    st.floats(-0.2, 2),
    st.integers(1, 12),
    st.sampled_from([0.0, 0.05, 0.3]),
    st.booleans(),
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
        complete=[WHOLE] * complete,
    )
    np.testing.assert_array_equal(target, expected_target)
    np.testing.assert_array_equal(known, expected_known)


@settings(deadline=None, max_examples=80)
@given(st.lists(boxes, max_size=5), st.booleans())
def test_a_cell_is_never_present_and_unknown(events, complete):
    target, known = frame_labels(
        events, GRID, NOISY, start_s=0.5, num_frames=20, edge_tolerance_s=0.1, complete=[WHOLE] * complete
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
