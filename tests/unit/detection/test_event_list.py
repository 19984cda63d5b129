"""Tables of events, asked by recording."""

import pytest

from rfcx_ssl.detection.event_list import EventList
from rfcx_ssl.errors import AnnotationError


def listed(tmp_path, *rows, header="recording,start_s,end_s,species"):
    (tmp_path / "events.csv").write_text("\n".join([header, *rows]) + "\n")
    return EventList(tmp_path / "events.csv", tmp_path / "scratch.sqlite")


def test_events_come_by_recording_in_their_order(tmp_path):
    events = listed(tmp_path, "b/x,1.5,2,owl", "a,0,0.25,frog", "b/x,0.5,3,frog", "'=cmd,1,2,owl")
    assert events.of("b/x") == [(1.5, 2.0), (0.5, 3.0)] and events.of("a") == [(0.0, 0.25)]
    assert events.of("=cmd") == [(1.0, 2.0)] and events.of("c") == []
    for name in ("a", "b/x", "c"):
        events.mark(name)
    with pytest.raises(AnnotationError, match=r"events\.csv: no such recording among FILES: =cmd"):
        events.require_all_marked()
    events.mark("=cmd")
    events.require_all_marked()
    events.close()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a,one,2,owl", "events.csv:2: start_s='one' is not a number"),
        ("a,0,inf,owl", "events.csv:2: end_s='inf' is not a finite number"),
        ("a,2,2,owl", "events.csv:2: need 0 <= start_s < end_s, got 2 and 2"),
        ("a,-1,2,owl", "events.csv:2: need 0 <= start_s < end_s, got -1 and 2"),
    ],
)
def test_times_that_are_none_are_named(tmp_path, row, message):
    with pytest.raises(AnnotationError, match=message):
        listed(tmp_path, row)


def test_columns_that_are_missing_are_named(tmp_path):
    with pytest.raises(AnnotationError, match="missing column end_s"):
        listed(tmp_path, "a,1", header="recording,start_s")
