"""Stretches of time, against loops over single moments."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.annotations import COLUMNS, WHOLE, Annotations, Event, Span
from rfcx_ssl.annotations.spans import (
    EVERYWHERE,
    all_marked_somewhere,
    fit_to_recordings,
    joined,
    marked,
    uncovered_s,
)

SPECIES = 4
named = st.one_of(st.none(), st.frozensets(st.integers(0, SPECIES - 1), min_size=1))
spans = st.lists(
    st.builds(lambda start, length, who: Span(float(start), start + length, who),
              st.integers(0, 9), st.sampled_from([1.0, 2.0, 4.0, math.inf]), named),
    max_size=6,
)  # fmt: skip
MOMENTS = [half / 2 for half in range(28)]


def is_marked(spans, species, moment):
    return any(s.start_s <= moment < s.end_s and (s.species is None or species in s.species) for s in spans)


@given(spans)
def test_what_is_marked_equals_a_loop_over_moments(spans):
    groups = marked(spans)
    assert [group.species is None for group in groups] == sorted((g.species is None for g in groups), reverse=True)
    of_species = {}
    for group in groups:
        for species in range(SPECIES) if group.species is None else group.species:
            of_species[species] = group.stretches
    for species in range(SPECIES):
        stretches = of_species.get(species, ())
        assert list(stretches) == sorted(stretches)
        assert all(first[1] < second[0] for first, second in pairwise(stretches))
        for moment in MOMENTS:
            assert any(a <= moment < b for a, b in stretches) == is_marked(spans, species, moment)


@given(spans)
def test_a_moment_at_which_all_species_are_marked(spans):
    expected = any(all(is_marked(spans, species, moment) for species in range(SPECIES)) for moment in MOMENTS)
    assert all_marked_somewhere(spans, SPECIES) == expected


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=6), st.integers(0, 20), st.integers(0, 12))
def test_what_boxes_leave_open_is_counted_second_by_second(boxes, start, length):
    events = [Event(0, 1, float(a), float(a + n), 0, 1, False, 1.0) for a, n in boxes]
    expected = sum(not any(a <= t < a + n for a, n in boxes) for t in range(start, start + length))
    assert uncovered_s(events, float(start), float(start + length)) == expected


def test_spans_that_touch_are_one_and_the_start_of_a_recording_is_open():
    assert joined([Span(5, 7), Span(1, 3), Span(3, 4)]) == ((1, 4), (5, 7))
    assert joined([Span(0, 5), Span(2, math.inf)]) == (EVERYWHERE,)
    assert joined([]) == ()


def row(name, t_max, weak):
    cells = (name, 0, 1, 0.0, 0.0, t_max, 1e9, "present", 1.0, "t:2")
    return dict(zip(COLUMNS, cells, strict=False)) | {"weak": weak}


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([Span(0, 60)], [WHOLE]),
        ([Span(0, 59.97)], [WHOLE]),  # as far over as a box may hang
        ([Span(0, 30), Span(30, 60), Span(5, 9, frozenset({1}))], [WHOLE]),
        ([Span(0, 59)], [Span(0, 59)]),
        ([Span(10, 60, frozenset({1}))], [Span(10, math.inf, frozenset({1}))]),
        ([Span(2, 8), Span(4, 9)], [Span(2, 9)]),
    ],
)
def test_what_reaches_the_end_of_its_recording_is_open(stated, expected):
    fitted = fit_to_recordings(Annotations.from_rows([], {"a": stated}), {"a": 60.0})
    assert list(fitted.spans("a")) == expected
    assert fitted.is_complete("a") == (expected == [WHOLE])


def test_a_tag_of_a_whole_recording_ends_with_it():
    table = Annotations.from_rows([row("a", math.inf, True), row("a", 3.0, False), row("b", math.inf, True)])
    fitted = fit_to_recordings(table, {"a": 60.0})
    assert [event.end_s for event in fitted.events("a")] == [3.0, 60.0]
    assert fitted.events("b")[0].end_s == math.inf, "nobody knows how long it is"
