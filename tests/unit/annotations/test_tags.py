from rfcx_ssl.annotations import COLUMNS, WHOLE, Annotations
from rfcx_ssl.annotations.tags import without_answered_tags
from rfcx_ssl.species import label_space, rfcx_species


def row(name, species, start_s, end_s, *, state="present", weak=False, song=1):
    cells = (name, species, song, start_s, 1.0, end_s, 2.0, state, 1.0, "t:2")
    return dict(zip(COLUMNS, cells, strict=False)) | {"weak": weak}


def left(rows, **options):
    annotations = Annotations.from_rows(rows, ["c"])
    kept = without_answered_tags(annotations, label_space(rfcx_species(), **options))
    assert kept.spans("c") == (WHOLE,)
    return {(name, e.species_id, e.start_s) for name in kept.recording_ids for e in kept.events(name) if e.is_tag}


def test_a_box_in_its_window_answers_a_tag():
    rows = [
        row("b", 3, 0.0, 60.0, weak=True),
        row("b", 3, 59.0, 61.0),  # reaches into the window
        row("b", 4, 0.0, 60.0, weak=True),
        row("b", 4, 60.0, 61.0),  # touches it
        row("b", 4, 10.0, 11.0, state="absent"),
        row("b", 5, 0.0, 60.0, weak=True),
        row("b", 5, 10.0, 20.0, weak=True),  # another tag is no answer
        row("b", 6, 0.0, 60.0, weak=True),
        row("a", 6, 10.0, 11.0),  # another recording
    ]
    assert left(rows) == {("b", 4, 0.0), ("b", 5, 0.0), ("b", 5, 10.0), ("b", 6, 0.0)}


def test_song_types_answer_each_other_unless_they_are_told_apart():
    rows = [row("a", 17, 0.0, 60.0, weak=True), row("a", 17, 1.0, 2.0, song=4)]
    assert left(rows) == set() and left(rows, split_songtypes=True) == {("a", 17, 0.0)}


def test_absent_rows_are_no_tags():
    rows = [row("a", 3, 0.0, 60.0, state="absent", weak=True), row("a", 3, 1.0, 2.0)]
    annotations = Annotations.from_rows(rows)
    assert len(without_answered_tags(annotations, label_space(rfcx_species()))) == 2
