import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import WHOLE, Event
from rfcx_ssl.labels.clips import clip_labels
from rfcx_ssl.species import LabelSpace, SpeciesTable

SPACE = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1"), (0, 1), (None, None))
NOISY = LabelSpace(SpeciesTable.of_names(("a", "b")), ("s0", "s1", "noise"), (0, 1, -1), (None, None, None))


def box(species, start_s, end_s, *, present=True, weight=1.0):
    return Event(species, 1, start_s, end_s, 100.0, 200.0, present, weight)


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
