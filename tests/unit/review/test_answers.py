"""Edited tables of Raven and Audacity to rows of a label table, and back through the readers that training uses."""

import csv
import json
from pathlib import Path

import pytest

from rfcx_ssl.annotations import read_extra
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.review.answers import contradictions, digest, edited_table, read_answers
from rfcx_ssl.review.tables import audacity_text, clip_track_text, raven_text, read_labels

TIT, LARK, FROG = 0, 1, 2
BEGIN, END = "Begin Time (s)", "End Time (s)"


@pytest.fixture(params=["raven", "audacity"])
def kind(request):
    return request.param


@pytest.fixture
def edit(items, tmp_path, kind):
    """``edit(change)``: the table of the items with its labels (dicts) changed by ``change(list)``, as a file."""

    def make(change=lambda labels: None):
        labels = [
            {"start": item.box_s[0], "end": item.box_s[1], "text": item.species, "band": (item.low_hz, item.high_hz)}
            for item in items
        ]
        change(labels)
        path = tmp_path / f"{kind}.txt"
        if kind == "raven":
            rows = [
                f"{n}\tWaveform 1\t1\t{x['start']}\t{x['end']}\t\t\t{x['text']}\tx\n"
                f"{n}\tSpectrogram 1\t1\t{x['start']}\t{x['end']}\t{x['band'][0]}\t{x['band'][1]}\t{x['text']}\tx\n"
                for n, x in enumerate(labels, 1)
            ]
            head = f"Selection\tView\tChannel\t{BEGIN}\t{END}\tLow Freq (Hz)\tHigh Freq (Hz)\tAnnotation\tNotes\n"
            path.write_text(head + "".join(rows))
        else:
            rows = [f"{x['start']}\t{x['end']}\t{x['text']}\n\\\t{x['band'][0]}\t{x['band'][1]}\n" for x in labels]
            path.write_bytes("".join(rows).replace("\n", "\r\n").encode())  # as Windows writes it
        return path

    return make


def said(answers):
    ids = {"Great Tit": TIT, "Sånglärka": LARK, "Tree frog, small": FROG}
    return [
        (Path(row["file"]).stem, ids[row["label"]], row["state"], row["start_s"], row["end_s"]) for row in answers.rows
    ]


def outcome(answers):
    return [answers.outcome[item] for item in sorted(answers.outcome, key=lambda item: item.question)]


def test_left_as_it_is_means_heard(edit, items, names):
    answers = read_answers(edit(), items, names, annotator="me", weight=0.5)
    assert said(answers) == [
        ("a", TIT, "present", 11.5, 12.5), ("b", TIT, "present", 1.5, 2.5), ("b", FROG, "present", 21.5, 22.5),
    ]  # fmt: skip
    assert [row["weak"] for row in answers.rows] == ["no", "no", "yes"]  # a blind stretch: somewhere in it
    assert {(row["annotator"], row["weight"]) for row in answers.rows} == {("me", 0.5)}
    assert set(answers.outcome.values()) == {"present"}


def test_no_unsure_and_deleted(edit, items, names):
    def change(labels):
        labels[0]["text"], labels[1]["text"] = "no", "?"
        del labels[2]

    answers = read_answers(edit(change), items, names, annotator="me")
    assert said(answers) == [("a", TIT, "absent", 11.5, 12.5)]
    assert outcome(answers) == ["absent", "unsure", "none"]
    assert "1 absent, 1 unsure, 1 without a label" in answers.summary()


def test_another_species_is_there_and_the_one_asked_about_is_not(edit, items, names):
    def change(labels):
        labels[0]["text"] = "tfrog"

    answers = read_answers(edit(change), items, names, annotator="me", upto=1)
    assert said(answers) == [("a", FROG, "present", 11.5, 12.5), ("a", TIT, "absent", 11.5, 12.5)]
    assert [(row["low_hz"], row["high_hz"]) for row in answers.rows] == [(300.0, 1000.0), (2000.0, 6000.0)]
    assert answers.rows[0]["songtype"] == 3


def test_boxes_that_are_moved_and_added(edit, items, names):
    def change(labels):
        labels[2] |= {"start": 10.5, "end": 13.0, "band": (500.0, 700.0)}  # beyond the end of clip 3, which is 12
        labels.append({"start": 0.5, "end": 1.0, "text": "Sånglärka", "band": (3000.0, 5000.0)})

    answers = read_answers(edit(change), items, names, annotator="me")
    assert ("b", FROG, "present", 22.5, 24.0) in said(answers)
    moved = next(row for row in answers.rows if row["label"] == "Tree frog, small")
    assert (moved["weak"], moved["low_hz"], moved["high_hz"]) == ("no", 500.0, 700.0)
    assert ("a", LARK, "present", 10.5, 11.0) in said(answers)
    assert outcome(answers) == ["present"] * 3  # the tit of clip 1 has its own label


def test_both_tracks_of_audacity_come_back_in_one_file(items, names, tmp_path):
    path = tmp_path / "both.txt"
    lines = audacity_text(items).replace("Great Tit", "no", 1).splitlines()
    path.write_text("\n".join([*lines[::2], *clip_track_text(items).splitlines()]))  # and without bands, by default
    answers = read_answers(path, items, names, annotator="me")
    assert outcome(answers) == ["absent", "present", "present"] and len(answers.rows) == 3
    assert [row["high_hz"] for row in answers.rows] == [item.high_hz for item in items]


def test_only_what_was_listened_to(edit, items, names):
    answers = read_answers(edit(), items, names, annotator="me", upto=2)
    assert [name for name, *_ in said(answers)] == ["a", "b"] and len(answers.outcome) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "Great Tut"}, "unknown label 'Great Tut': did you mean 'great tit'"),
        ({"start": 40.0, "end": 41.0}, "lies outside all clips"),
        ({"start": 2.5, "end": 1.5}, r"t_min=12.5 must be below t_max=11.5"),
        ({"start": "soon"}, "'soon' is not a number"),
        ({"band": (900.0, 300.0)}, "f_min=900 must be below f_max=300"),
    ],
)
def test_broken_answers_name_file_and_line(edit, items, names, change, message):
    path = edit(lambda labels: labels[0].update(change))
    with pytest.raises(AnnotationError, match=rf"{path.name}:\d+: .*{message}"):
        read_answers(path, items, names, annotator="me")


def test_two_broken_answers_are_counted(edit, items, names):
    def change(labels):
        labels[0]["text"] = labels[1]["text"] = "Grat Tit"

    with pytest.raises(AnnotationError, match="and 1 more wrong row"):
        read_answers(edit(change), items, names, annotator="me")


@pytest.mark.parametrize(
    ("words", "message"), [({"weight": 0.0}, "--weight 0"), ({"upto": 4}, "--upto 4 must be 1 to 3")]
)
def test_wrong_words(edit, items, names, words, message):
    with pytest.raises(ConfigError, match=message):
        read_answers(edit(), items, names, annotator="me", **words)


def test_the_answer_column_wins_over_the_label(items, names, tmp_path):
    rows = list(csv.reader(raven_text(items).splitlines(), delimiter="\t"))
    rows[1][-1], rows[2][-1] = "no", "sånglärka"
    path = tmp_path / "r.txt"
    path.write_text("\n".join("\t".join(row) for row in rows))
    answers = read_answers(path, items, names, annotator="me", upto=2)
    assert [what[1:3] for what in said(answers)] == [(TIT, "absent"), (LARK, "present"), (TIT, "absent")]
    assert (answers.rows[1]["low_hz"], answers.rows[1]["high_hz"]) == ("", "")  # nobody knows the lark's band


def test_times_along_some_of_the_clips_are_refused(items, names, tmp_path):
    rows = raven_text(items).splitlines()
    cells = rows[3].split("\t")
    cells[3], cells[4] = "1.5", "2.5"  # clip 3 was opened alone
    path = tmp_path / "r.txt"
    path.write_text("\n".join([*rows[:3], "\t".join(cells)]))
    with pytest.raises(AnnotationError, match=r"r.txt:4: .*lies in clip 1, the table says 0003_b.wav"):
        read_answers(path, items, names, annotator="me")


def test_unedited_tables_are_what_the_readers_of_training_read(items, names, tmp_path):
    raven, audacity = tmp_path / "review.selections.txt", tmp_path / "review.labels.txt"
    raven.write_text(raven_text(items))
    audacity.write_text(audacity_text(items))
    clips = read_extra(raven, names)
    for item in items:
        (event,) = clips.events(Path(item.clip).stem)
        assert (event.start_s, event.end_s) == (1.5, 2.5) and event.low_hz == item.low_hz
        assert names.species.names[event.species_id] == item.species
    together = read_extra(audacity, names).events("review")
    assert [(event.start_s, event.end_s) for event in together] == [item.box_s for item in items]
    assert [label.text for label in read_labels(raven)] == [label.text for label in read_labels(audacity)]


def test_what_is_written_is_a_label_table(edit, items, names, tmp_path):
    def change(labels):
        labels[0]["text"], labels[1]["text"] = "no", "Sånglärka"

    answers = read_answers(edit(change), items, names, annotator="me", weight=0.5)
    answers.write(tmp_path / "answers.csv")
    table = read_extra(tmp_path / "answers.csv", names)
    (event,) = table.events("a")
    assert event[:6] == (TIT, 1, 11.5, 12.5, 2000.0, 6000.0) and not event.present and event.weight == 0.5
    lark, tit, frog = sorted(table.events("b"), key=lambda event: (event.start_s, not event.present))
    assert lark.species_id == LARK and not lark.has_band and tit.species_id == TIT and not tit.present
    assert frog.weak and frog.songtype_id == 3 and not lark.weak
    assert set(table.table["annotator"]) == {"me"}


def test_contradictions_of_two_people(edit, items, names, tmp_path):
    one = read_answers(edit(), items, names, annotator="one")
    one.write(tmp_path / "one.csv")
    other = read_answers(edit(lambda labels: labels[1].update(text="no")), items, names, annotator="two")
    (line,) = contradictions(other, [tmp_path / "one.csv"])
    assert line == "b.wav 1.50 s: Great Tit is absent for two, present for one"
    assert not contradictions(one, [tmp_path / "one.csv"])
    (tmp_path / "one.csv").write_text((tmp_path / "one.csv").read_text().replace("11.5", "x"))
    with pytest.raises(AnnotationError, match=r"one.csv:2: start_s='x' is not a number"):
        contradictions(one, [tmp_path / "one.csv"])


def test_which_table_was_edited(items, tmp_path):
    texts = {"review.selections.txt": raven_text(items), "review.labels.txt": audacity_text(items)}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(AnnotationError, match="cannot be read; is"):
        edited_table(tmp_path)
    digests = {name: digest(text.encode()) for name, text in texts.items()}
    (tmp_path / "review.json").write_text(json.dumps({"tables": digests}))
    with pytest.raises(AnnotationError, match=r"neither of .* is changed; say which to read with --table"):
        edited_table(tmp_path)
    (tmp_path / "review.labels.txt").write_bytes(texts["review.labels.txt"].replace("\n", "\r\n").encode())
    with pytest.raises(AnnotationError, match="neither"):  # opened and saved elsewhere, but not edited
        edited_table(tmp_path)
    (tmp_path / "review.labels.txt").write_text(texts["review.labels.txt"].replace("Great Tit", "no"))
    assert edited_table(tmp_path).name == "review.labels.txt"
    (tmp_path / "review.selections.txt").write_text("x")
    with pytest.raises(AnnotationError, match="both of"):
        edited_table(tmp_path)
