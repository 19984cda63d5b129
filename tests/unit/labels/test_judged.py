"""Which frames a box is judged in: against a slow loop over single frames, by the rules of docs/labels.md."""

from fractions import Fraction

import numpy as np
import pytest

from rfcx_ssl.annotations import WHOLE, Event
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.frame_wise import frame_labels
from rfcx_ssl.labels.judged import Judged, judged_boxes, species_labels
from rfcx_ssl.species import label_space, rfcx_species

GRID, FRAMES, TOLERANCE_S = FrameGrid(1000, 20), 150, 0.06
SPACE = label_space(rfcx_species())


def random_events(seed, count=14):
    rng = np.random.default_rng(seed)
    events = []
    for _ in range(count):
        start, length = round(rng.random() * 2.9, 3), round(0.005 + rng.random() * 0.6, 3)
        events.append(Event(int(rng.integers(3)), 1, start, start + length, 0.0, 1.0, bool(rng.random() < 0.4), 1.0))
    return events


def label_of(frame, species, events, complete):
    """State of one cell, by whole samples: True, False or None for unknown."""
    first, last = frame * GRID.hop_samples, (frame + 1) * GRID.hop_samples

    def samples(low_s, high_s):
        low, high = round(low_s * GRID.sample_rate_hz), round(high_s * GRID.sample_rate_hz)
        return max(0, min(high, last) - max(low, first))

    mine = [event for event in events if event.species_id == species]
    margins = {event: min(TOLERANCE_S, (event.end_s - event.start_s) / 4) for event in mine}
    heard = [event for event in mine if event.present]
    if any(samples(event.start_s + margins[event], event.end_s - margins[event]) for event in heard):
        return True
    if any(samples(event.start_s - margins[event], event.end_s + margins[event]) for event in heard):
        return None
    for event in mine:
        inner = samples(event.start_s + margins[event], event.end_s - margins[event])
        if not event.present and Fraction(inner, GRID.hop_samples) >= Fraction(1, 2):
            return False
    return False if complete else None


@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_frames_of_boxes_equal_a_slow_loop(seed, complete):
    events = random_events(seed)
    target, known = frame_labels(
        events, GRID, SPACE, start_s=0.0, num_frames=FRAMES, edge_tolerance_s=TOLERANCE_S, complete=[WHOLE] * complete
    )
    boxes = {box.box: box for box in judged_boxes(events, *species_labels(target, known, SPACE), GRID)}
    for position, event in enumerate(events):
        low, high = (round(t * GRID.sample_rate_hz) for t in (event.start_s, event.end_s))
        expected = [
            frame
            for frame in range(FRAMES)
            if min(high, (frame + 1) * GRID.hop_samples) > max(low, frame * GRID.hop_samples)
            and label_of(frame, event.species_id, events, complete) == event.present
        ]
        box = boxes.get(position)
        assert (box.frames.tolist() if box else []) == expected
        if box:
            assert (box.species_id, box.present, box.start_s) == (event.species_id, event.present, event.start_s)


def test_a_contradicted_absent_box_is_judged_where_the_present_one_is_not():
    heard, ruled_out = Event(0, 1, 1.0, 1.4, 0, 1, True, 1.0), Event(0, 1, 0.8, 1.2, 0, 1, False, 1.0)
    inside = Event(0, 1, 1.1, 1.3, 0, 1, False, 1.0)
    labels = frame_labels([heard, ruled_out, inside], GRID, SPACE, start_s=0.0, num_frames=FRAMES)
    boxes = judged_boxes([heard, ruled_out, inside], *labels, GRID)
    assert [(box.box, box.frames.tolist()) for box in boxes] == [(0, list(range(50, 70))), (1, list(range(40, 50)))]


def test_a_tag_is_judged_in_all_of_its_window_that_is_not_known_to_be_silent():
    seen = Event(0, 1, 1.0, 1.4, 0, 1, True, 1.0, weak=True)
    for complete in ([], [WHOLE]):
        labels = frame_labels([seen], GRID, SPACE, start_s=0.0, num_frames=FRAMES, complete=complete)
        (box,) = judged_boxes([seen], *labels, GRID)
        assert (box.present, box.weak, box.frames.tolist()) == (True, True, list(range(50, 70)))
    ruled_out = Event(0, 1, 0.8, 1.2, 0, 1, False, 1.0)
    labels = frame_labels([seen, ruled_out], GRID, SPACE, start_s=0.0, num_frames=FRAMES)
    boxes = judged_boxes([seen, ruled_out], *labels, GRID)
    assert [(box.weak, box.frames.tolist()) for box in boxes] == [
        (True, list(range(60, 70))),
        (False, list(range(40, 60))),
    ]
    everywhere = Event(0, 1, 0.5, 2.0, 0, 1, False, 1.0)
    labels = frame_labels([seen, everywhere], GRID, SPACE, start_s=0.0, num_frames=FRAMES)
    assert [box.box for box in judged_boxes([seen, everywhere], *labels, GRID)] == [1]


@pytest.mark.parametrize("options", [{}, {"noise_class": True}, {"split_songtypes": True, "noise_class": True}])
def test_labels_of_species_equal_a_loop_over_them(options):
    space, rng = label_space(rfcx_species(), **options), np.random.default_rng(0)
    known = rng.choice([0.0, 0.25, 1.0], (40, space.num_outputs)).astype(np.float32)
    target = rng.choice([0.0, 0.3, 1.0], known.shape).astype(np.float32) * (known > 0)
    merged_target, merged_known = species_labels(target, known, space)
    for frame in range(40):
        for species in range(24):
            outputs = [k for k, scored_as in enumerate(space.output_species) if scored_as == species]
            present = max(target[frame, k] * known[frame, k] for k in outputs)
            expected = present if present > 0 else min(known[frame, k] for k in outputs)
            assert merged_target[frame, species] == max(target[frame, k] for k in outputs)
            assert merged_known[frame, species] == expected


def test_a_species_is_absent_where_all_its_song_types_are():
    space = label_space(rfcx_species(), split_songtypes=True, noise_class=True)
    song = {type_: space.output_of(17, type_) for type_ in (1, 4)}
    target, known = np.zeros((5, space.num_outputs), np.float32), np.zeros((5, space.num_outputs), np.float32)
    known[1, song[1]] = 1  # one song type ruled out: the other may be heard
    known[2, list(song.values())] = 1
    target[3, song[4]] = known[3, song[4]] = known[3, song[1]] = 1
    target[4, song[1]], known[4, song[1]] = 1, 0.5
    merged_target, merged_known = species_labels(target, known, space)
    assert merged_target.shape == merged_known.shape == (5, 24)
    assert merged_target[:, 17].tolist() == [0, 0, 0, 1, 1]
    assert merged_known[:, 17].tolist() == [0, 0, 1, 1, 0.5]
    assert merged_known[:, :17].max() == merged_known[:, 18:].max() == 0


def test_some_of_the_recordings():
    judged = Judged(("a", "b", "c"), np.eye(3, dtype=bool), np.ones((3, 3), bool), ((), (), ()))
    few = judged.rows(np.array([2, 0]))
    assert few.recording_ids == ("c", "a")
    assert few.truth.tolist() == [[False, False, True], [True, False, False]]
