import math

import pytest

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Annotations, Span
from rfcx_ssl.data.species_report import contradictions, report, species_rows
from rfcx_ssl.folds import Folds
from rfcx_ssl.species import SpeciesTable

SPECIES = SpeciesTable.of_names(["Hyla", "Rana", "Bufo"])
FOLDS = Folds({"a": 0, "b": 1, "c": 2}, {"a": "a", "b": "b", "c": "c"}, 3)


def row(name, species, start, end, state="present", band=(100.0, 900.0), **more):
    return {
        "recording_id": name, "species_id": species, "songtype_id": 1, "t_min": start, "f_min": band[0], "t_max": end,
        "f_max": band[1], "state": state, "weight": 1.0, "source": f"t.csv:{start:g}", **more,
    }  # fmt: skip


ROWS = [
    row("a", 0, 0, 2), row("a", 0, 5, 6, band=(50.0, 800.0)), row("b", 0, 0, 6, band=UNKNOWN_BAND_HZ),
    row("c", 0, 0, 30, weak=True), row("b", 1, 3, 4), row("b", 1, 3.5, 5, "absent", annotator="bob"), row("c", 1, 0, 1, "absent"),
]  # fmt: skip


def test_what_there_is_of_each_species():
    complete = {"a": [Span(0, 10), Span(5, 20)], "b": [Span(species=frozenset({1})), Span(0, 6)]}
    annotations = Annotations.from_rows(ROWS, complete)
    hyla, rana, bufo = species_rows(
        annotations, FOLDS, SPECIES, sites={"a": "x", "b": "x", "c": "y"}, durations_s={"a": 15, "b": 36, "c": 30}
    )
    assert (hyla.boxes, hyla.tags, hyla.absent, hyla.seconds, hyla.length_s) == (3, 1, 0, 9.0, 2.0)
    assert (hyla.recordings, hyla.sites, hyla.band_hz, hyla.groups) == (3, 2, (50.0, 900.0), 3)
    assert (rana.boxes, rana.absent, rana.recordings, rana.sites, rana.groups) == (1, 2, 1, 1, 1)
    assert [item.complete_h * 3600 for item in (hyla, rana, bufo)] == pytest.approx([15 + 6, 15 + 36, 15 + 6])
    lines = report([hyla, rana, bufo], 3).splitlines()
    assert [line.split()[0] for line in lines] == ["species", "Hyla", "Rana", "Bufo"]
    assert (
        lines[1].endswith("50-900") and lines[2].endswith("in 1 of 3 folds at most") and lines[3].endswith("no labels")
    )


def test_without_audio_nothing_is_known_of_hours():
    rows = species_rows(Annotations.from_rows(ROWS, ["a"]).ending({}), FOLDS, SPECIES, sites={})
    assert {(item.complete_h, item.sites) for item in rows} == {(None, None)}


def test_a_tag_of_a_whole_recording_has_no_length():
    item = species_rows(Annotations.from_rows([row("a", 2, 0, math.inf, weak=True)]), FOLDS, SPECIES, sites={})[2]
    assert (item.boxes, item.tags, item.seconds, item.length_s) == (0, 1, 0.0, None)


def test_contradictions_name_both_sources():
    assert contradictions(Annotations.from_rows(ROWS), SPECIES) == [
        "Rana: present by t.csv:3 and absent by t.csv:3.5 (bob)"
    ]
