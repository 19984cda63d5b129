import pandas as pd
import pytest

from rfcx_ssl.annotations import COLUMNS, Annotations, RowProblem, fail_on_problems
from rfcx_ssl.errors import AnnotationError


def row(recording="aaa", species=3, start=1.0, end=2.0, low=1000.0, state="present", **changes):
    values = (recording, species, 1, start, low, end, low + 500.0, state, 1.0, "t.csv:2")
    return {**dict(zip(COLUMNS[:-2], values, strict=True)), **changes}


def test_events_of_a_recording_come_by_start_time():
    annotations = Annotations.from_rows([row(start=5.0, end=6.0), row(start=1.0), row("bbb", species=4)])
    assert [event.start_s for event in annotations.events("aaa")] == [1.0, 5.0]
    assert annotations.events("bbb")[0].species_id == 4
    assert annotations.events("zzz") == ()
    assert annotations.events("aaa")[1].duration_s == 1.0


def test_concat_keeps_the_same_row_of_two_tables_once():
    one, two = Annotations.from_rows([row(source="a.csv:2")]), Annotations.from_rows([row(source="b.csv:7")], ["ccc"])
    both = Annotations.concat([one, two, Annotations.from_rows([row(state="absent")])])
    assert [(event.present) for event in both.events("aaa")] == [False, True]
    assert both.is_complete("ccc") and both.recording_ids == ["aaa", "ccc"]
    assert len(Annotations.concat([])) == 0


def test_select_keeps_rows_and_flags_of_the_wanted_recordings():
    part = Annotations.from_rows([row("aaa"), row("bbb")], ["bbb", "ccc"]).select(["bbb"])
    assert part.recording_ids == ["bbb"] and part.complete.keys() == {"bbb"}


def test_boxes_after_the_end_are_problems_beyond_the_template_overhang():
    annotations = Annotations.from_rows(
        [row(end=60.04), row("bbb", end=60.06, source="t.csv:9"), row("ccc", end=99.0)]
    )
    problems = annotations.outside({"aaa": 60.0, "bbb": 60.0})
    assert problems == [RowProblem("t.csv:9", "t_max=60.06 lies outside the recording bbb (60 s)")]
    with pytest.raises(AnnotationError, match=r"^t\.csv:9: t_max"):
        fail_on_problems(problems)
    fail_on_problems([])


def test_a_species_is_inaudible_only_if_all_its_present_boxes_are():
    rows = [
        row(species=22, low=9000.0),
        row(species=7, low=9000.0),
        row(species=7, low=7000.0),
        row(species=5, low=9e3, state="absent"),
    ]
    assert Annotations.from_rows(rows).inaudible(16_000) == {22: 9000.0}
    assert Annotations.from_rows(rows).inaudible(32_000) == {}


def test_a_table_without_all_columns_is_refused():
    with pytest.raises(AnnotationError, match="lack the columns songtype_id"):
        Annotations(pd.DataFrame(columns=["recording_id", "species_id"]))
