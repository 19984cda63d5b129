"""The page without a page: hearing, thresholds, answers, and what cannot be reached."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from rfcx_ssl.annotations import default_label_map, read_extra
from rfcx_ssl.app.desk import Desk, Seat
from rfcx_ssl.app.page import ALL, Acts
from rfcx_ssl.app.session import Session, Subject
from rfcx_ssl.app.shelf import Shelf, uploaded
from rfcx_ssl.detection.hear import AS_TUNED, Ear, listen
from rfcx_ssl.errors import AnnotationError, AudioError, ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.review.journal import Journal
from rfcx_ssl.review.plan import Item
from rfcx_ssl.species import rfcx_species

RATE_HZ = 8_000
NAMES = rfcx_species().names
LABELS = default_label_map(rfcx_species())


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    """Two recordings of noise, 40 and 3 s; beside the folder a third one."""
    root = tmp_path_factory.mktemp("card")
    rng = np.random.default_rng(0)
    (root / "card").mkdir()
    for name, length_s in (("card/long", 40), ("card/short", 3), ("outside", 3)):
        soundfile.write(root / f"{name}.wav", 0.1 * rng.standard_normal(length_s * RATE_HZ), RATE_HZ)
    return root / "card"


@pytest.fixture(scope="module")
def ear(model_dir):
    return Ear((TorchScorer(load_model(str(model_dir), "cpu"), str(model_dir), AS_TUNED),), AS_TUNED)


def question(number, name, species, start_s=1.0):
    return Item(number, "c.wav", 3.0 * number, 3.0, name, f"elsewhere/{name}.wav", start_s - 1, start_s, start_s + 1,
                100.0, 900.0, NAMES[species], 0.7, "top")  # fmt: skip


@pytest.fixture
def session(ear, card, tmp_path):
    asked = [question(1, "short", 0), question(2, "long", 1, 30.0), question(3, "gone", 0), question(4, "short", 2)]
    return Session(ear, Shelf([card]), Journal(tmp_path / "answers", LABELS), asked)


def rows(session):
    with session.journal.table.open(encoding="utf-8") as lines:
        return [(row["label"], row["state"], row["annotator"]) for row in csv.DictReader(lines)]


def test_events_are_those_of_detect(session, card, model_dir):
    found = session.decode(session.open(session.shelf.get("long")), {})
    assert found == listen(load_model(str(model_dir), "cpu"), card / "long.wav").events
    assert found


def test_a_threshold_decodes_again_without_hearing_again(session, card, model_dir, monkeypatch):
    heard = session.open(session.shelf.get("long"))
    monkeypatch.setattr(Session, "_hear", lambda *_: pytest.fail("heard twice"))
    everything = dict.fromkeys(range(len(NAMES)), 0.3)
    found = session.decode(session.open(heard.recording), everything)
    model = load_model(str(model_dir), "cpu")
    assert found == listen(model, card / "long.wav", replace(AS_TUNED, threshold=0.3)).events
    one = session.decode(heard, {3: 0.3})
    assert [e for e in one if e.species == NAMES[3]] == [e for e in found if e.species == NAMES[3]]
    assert [e for e in one if e.species != NAMES[3]] == [e for e in session.decode(heard, {}) if e.species != NAMES[3]]
    with pytest.raises(ConfigError, match=r"threshold=1\.5 must be"):
        session.decide({0: 1.5})


def test_answers_of_all_states_become_a_table_that_training_reads(session, card):
    heard = session.open(session.shelf.get("short"))
    for number, said in enumerate(("yes", "no", "?", NAMES[7])):
        session.answer(heard, Subject(NAMES[number], 0.5, 1.0), said, "ann")
    expected = {
        (NAMES[0], "present"), (NAMES[1], "absent"), (NAMES[7], "present"), (NAMES[3], "absent"),
    }  # fmt: skip
    assert {row[:2] for row in rows(session)} == expected
    assert [m.state for m in session.marks(heard.recording, "ann")].count("unsure") == 1
    read = read_extra(session.journal.table, LABELS)
    events = [event for name in read.recording_ids for event in read.events(name)]
    assert {(NAMES[e.species_id], "present" if e.present else "absent") for e in events} == expected
    assert {(e.start_s, e.end_s) for e in events} == {(0.5, 1.0)}


def test_the_last_word_of_a_person_stands_and_nothing_is_overwritten(session):
    heard = session.open(session.shelf.get("short"))
    for start_s, said, who in ((0.5, "yes", "ann"), (0.5, "no", "bob"), (0.6, "no", "ann"), (2.0, "yes", "ann")):
        session.answer(heard, Subject(NAMES[0], start_s, start_s + 0.5), said, who)
    before = session.journal.path.read_bytes()
    assert rows(session) == [(NAMES[0], "absent", "bob"), (NAMES[0], "absent", "ann"), (NAMES[0], "present", "ann")]
    session.answer(heard, Subject(NAMES[0], 0.5, 1.0), "?", "ann")
    assert rows(session) == [(NAMES[0], "absent", "bob"), (NAMES[0], "present", "ann")]
    after = session.journal.path.read_bytes()
    assert after.startswith(before) and len(after.splitlines()) == 5


def test_a_torn_line_is_no_answer_and_a_broken_one_is_named(session):
    heard = session.open(session.shelf.get("short"))
    about = Subject(NAMES[0], 0.5, 1.0)
    session.answer(heard, about, "yes", "ann")
    with session.journal.path.open("ab") as file:
        file.write(b'{"at": "2026')
    again = Journal(session.journal.folder, LABELS)
    assert len(again.marks()) == 1
    session.answer(heard, about._replace(start_s=0.2, end_s=0.4), "no", "ann")
    assert [mark.state for mark in again.marks()] == ["present", "absent"]
    with session.journal.path.open("ab") as file:
        file.write(b'{"at": 1}\n')
    with pytest.raises(AnnotationError, match=r"answers\.jsonl:3: is no answer"):
        Journal(session.journal.folder, LABELS)


@pytest.mark.parametrize(
    ("about", "said", "who", "message"),
    [
        (Subject(NAMES[0], 0.5, 1.0), "yes", " ", "who listens"),
        (Subject(NAMES[0], 0.5, 1.0), "dodo", "ann", "dodo"),
        (Subject("dodo", 0.5, 1.0), "yes", "ann", "dodo"),
        (Subject(NAMES[0], 1.0, 0.5), "yes", "ann", "t_min"),
        (Subject(NAMES[0], 5.0, 6.0), "yes", "ann", "outside"),
    ],
)
def test_what_has_no_meaning_is_not_kept(session, about, said, who, message):
    with pytest.raises((AnnotationError, ConfigError), match=message):
        session.answer(session.open(session.shelf.get("short")), about, said, who)
    assert not session.journal.path.exists()


def test_questions_come_in_order_until_all_are_answered(session):
    assert session.num_lost == 1
    acts, seat = Acts(Desk(session)), Seat()
    seat, shown = acts.act(seat, "ann", {"do": "next"})
    for number in (1, 2, 4):
        asked = json.loads(shown["value"])["question"]
        assert asked["question"] == seat.question == number
        assert json.loads(shown["media"])["start_s"] <= asked["start_s"] if "media" in shown else True
        seat, shown = acts.act(seat, "ann", {"do": "answer", "said": "no", **asked})
    assert json.loads(shown["value"])["question"] is None
    assert json.loads(shown["value"])["review"] == {"done": 3, "of": 3}
    assert [row[:2] for row in rows(session)] == [(NAMES[0], "absent"), (NAMES[1], "absent"), (NAMES[2], "absent")]
    _, shown = acts.act(seat, "ann", {"do": "next"})
    assert shown == {"message": "all questions of the review are answered"}
    assert acts.act(seat, "bob", {"do": "next"})[0].question == 1  # another person has answered none


def test_what_a_browser_makes_up_changes_nothing(session):
    acts = Acts(Desk(session))
    seat, _ = acts.pick(Seat(), "short")
    made_up = ({}, None, {"do": "rm"}, {"do": "move", "at_s": "NaN"}, {"do": "move"}, {"do": "answer", "said": "yes"},
               {"do": "answer", "said": "yes", "species": NAMES[0], "start_s": "inf", "end_s": 2, "question": None})  # fmt: skip
    for data in made_up:
        same, shown = acts.act(seat, "ann", data)
        assert same == seat and "none of its acts" in shown["message"], data
    assert not session.journal.path.exists()


def test_no_message_says_where_files_lie(ear, card, tmp_path, caplog):
    """Of a recording that breaks, is cut off or goes away, of answers that cannot be kept, of an upload that is no audio."""
    place = tmp_path / "here is a card" / "card"
    shutil.copytree(card, place)
    whole = (place / "short.wav").read_bytes()
    (place / "cut.wav").write_bytes(whole[: len(whole) // 2])
    (place / "broken.wav").write_bytes(b"RIFF but no more")
    (place / "late.wav").write_bytes(whole)
    out = tmp_path / "my answers" / "answers"
    acts = Acts(Desk(Session(ear, Shelf([place]), Journal(out, LABELS))))
    seat, shown = acts.pick(Seat(), "cut")
    messages = [shown["message"], acts.pick(Seat(), "broken")[1]["message"]]
    acts.pick(Seat(), "late")
    (place / "late.wav").write_bytes(b"nothing")
    messages.append(acts.pick(Seat(), "late")[1]["message"])
    upload = tmp_path / "gradio" / "0a1b" / "mine.wav"
    upload.parent.mkdir(parents=True)
    upload.write_bytes(b"no audio")
    messages.append(acts.take(seat, str(upload))[1]["message"])
    out.parent.mkdir()
    out.write_text("a file in the place of the folder")
    answer = {"do": "answer", "said": "yes", "species": NAMES[0], "start_s": 0.1, "end_s": 0.4, "question": None}
    messages.append(acts.act(seat, "ann", answer)[1]["message"])
    out.unlink()
    out.mkdir()
    (out / "answers.jsonl").write_text("not one\n")
    messages.append(acts.act(seat, "ann", answer)[1]["message"])
    (out / "answers.jsonl").unlink()
    (out / "answers.csv").mkdir()  # so the table cannot be replaced: an error of the system
    messages.append(acts.act(seat, "ann", answer)[1]["message"])
    starts = (
        "cut.wav: ",
        "broken.wav: ",
        "late.wav: ",
        "mine.wav: ",
        "answers/answers.jsonl: ",
        "answers/answers.jsonl:1: ",
        "[Errno ",
    )
    for message, start in zip(messages, starts, strict=True):
        assert message.startswith(start), (message, start)
        assert str(tmp_path) not in message and "gradio" not in message and "here is" not in message, message
    assert str(out / "answers.csv") in caplog.text  # whoever serves the page is told where


def test_the_view_stays_inside_the_recording(session):
    acts = Acts(Desk(session))
    seat, _ = acts.pick(Seat(), "long")
    for wanted_s, start_s in ((-5.0, 0.0), (4.0, 4.0), (1e9, 10.0)):
        seat, shown = acts.act(seat, "ann", {"do": "move", "at_s": wanted_s})
        assert seat.at_s == start_s
    assert json.loads(shown["media"])["end_s"] == 40.0
    seat, shown = acts.set_threshold(seat, ALL, 0.9)
    assert "media" not in shown and acts.threshold(seat, NAMES[2]) == 0.9
    seat, _ = acts.set_threshold(seat, ALL, None)
    assert acts.threshold(seat, NAMES[2]) == 0.5


@pytest.mark.parametrize(
    "name", ["../outside", "/etc/passwd", "long.wav", "link", "folder/outside", "", "..", "long\0"]
)
def test_recordings_are_asked_for_by_name(card, tmp_path, name):
    place = tmp_path / "card"
    shutil.copytree(card, place)
    (place / "link.wav").symlink_to(card.parent / "outside.wav")
    (place / "folder").symlink_to(card.parent)
    with pytest.raises(AudioError, match="no such recording"):
        Shelf([place]).get(name)


def test_a_file_that_becomes_a_link_is_not_opened(card, tmp_path):
    place = tmp_path / "card"
    shutil.copytree(card, place)
    shelf = Shelf([place])
    (place / "short.wav").replace(tmp_path / "moved.wav")
    (place / "short.wav").symlink_to(tmp_path / "moved.wav")
    with pytest.raises(AudioError, match="leads out"):
        shelf.get("short")


def test_an_upload_is_kept_when_it_is_answered(session, card, tmp_path):
    path = tmp_path / "upload" / "mine.wav"
    path.parent.mkdir()
    shutil.copy(card / "short.wav", path)
    desk = Desk(session)
    seat = replace(desk.take(Seat(), path), annotator="ann")
    assert not session.journal.folder.exists()
    for species in NAMES[:2]:
        seat = desk.answer(seat, "yes", Subject(species, 0.5, 1.0))
    (kept,) = (session.journal.folder / "recordings").iterdir()
    assert kept.read_bytes() == path.read_bytes() and seat.recording.path == str(kept)
    path.unlink()
    shown = desk.show(seat)["timeline"]  # each answer, with the event that it is about or by itself
    states = {one["species"]: one["state"] for one in [*shown["events"], *shown["marks"]] if one["state"]}
    assert states == dict.fromkeys(NAMES[:2], "present")
    with pytest.raises(AudioError, match="no audio file"):
        uploaded(tmp_path / "page.html")
