"""Which recordings are found in files, folders, patterns, lists and the pipe, and in which order."""

import csv
import io
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pyarrow
import pyarrow.parquet
import pytest

from rfcx_ssl.annotations import read_annotations
from rfcx_ssl.annotations.audio_index import AudioIndex
from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS
from rfcx_ssl.annotations.project import ProjectFiles, read_project
from rfcx_ssl.audio.find import AUDIO_SUFFIXES
from rfcx_ssl.data.recordings import audio_by_id
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.sources import find_recordings, iter_recordings
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.species import rfcx_species


@pytest.fixture
def card(tmp_path):
    for name in ("a/1.wav", "a/2.FLAC", "a/._1.wav", "a/notes.txt", "b/1.wav", "b/deep/3.mp3"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def found(*sources, lists=()):
    return [recording.name for recording in iter_recordings([str(s) for s in sources], [str(s) for s in lists])]


def piped(monkeypatch, content):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_folders_are_searched_and_files_taken_as_they_are(card):
    recordings = list(iter_recordings([str(card / "a"), str(card / "a" / "notes.txt")]))
    assert [Path(r.path).name for r in recordings] == ["1.wav", "2.FLAC", "notes.txt"]
    assert [r.name for r in recordings] == ["1", "2", "notes"]


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_every_audio_suffix_is_found_at_any_depth(tmp_path, suffix):
    path = tmp_path / "card" / "2021" / "march" / f"night{suffix.upper()}"
    path.parent.mkdir(parents=True)
    path.touch()
    assert [r.path for r in iter_recordings([str(tmp_path / "card")])] == [str(path)]


def test_names_are_paths_below_the_folder(card):
    assert found(card) == ["a/1", "a/2", "b/1", "b/deep/3"]


def test_paths_are_absolute_and_say_size_and_time(card, monkeypatch):
    monkeypatch.chdir(card)
    (card / "a" / "1.wav").write_bytes(b"12345")
    expected = Recording("a/1", str(card / "a/1.wav"), 0, None, 5, str((card / "a/1.wav").stat().st_mtime_ns))
    assert next(iter_recordings(["."])) == expected


def test_each_file_comes_once_and_equal_names_get_their_folders(card):
    recordings = find_recordings([str(card / "a"), str(card / "b"), str(card), str(card / "a" / "1.wav")])
    assert [r.name for r in recordings] == ["1", "2", "b/1", "deep/3"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*/1.wav", ["a/1", "b/1"]),
        ("a/*", ["1", "2"]),
        ("**/*.mp3", ["b/deep/3"]),
        ("**", ["a/1", "a/2", "b/1", "b/deep/3"]),
        ("[b]", ["b/1", "b/deep/3"]),
        ("**/deep", ["b/deep/3"]),
        ("b/**/*.*", ["1", "deep/3"]),
        ("?/deep/3.mp3", ["b/deep/3"]),
        ("a/.*", []),
        ("c*", []),
        ("*/nothing/*", []),
    ],
)
def test_patterns(card, pattern, names):
    if names:
        assert found(card / pattern) == names
    else:
        with pytest.raises(AudioError, match="no audio files"):
            found(card / pattern)


def test_patterns_of_the_working_folder(card, monkeypatch):
    monkeypatch.chdir(card)
    assert found("*/1.wav") == ["a/1", "b/1"]


def test_a_file_with_the_signs_of_a_pattern_is_a_file(card):
    (card / "night[1].wav").touch()
    assert found(card / "night[1].wav") == ["night[1]"]


def test_links_to_folders_above_are_not_followed_for_ever(card):
    (card / "b" / "up").symlink_to(card)
    assert found(card / "**" / "*.wav") == ["a/1", "b/1"]
    assert found(card) == ["a/1", "a/2", "b/1", "b/deep/3"]


def test_a_link_to_itself_is_passed_over(card):
    whole, pattern = find_recordings([str(card)]), find_recordings([f"{card}/**/*.*"])
    (card / "loop").symlink_to("loop")
    assert find_recordings([str(card)]) == whole and find_recordings([f"{card}/**/*.*"]) == pattern


def test_missing_and_empty_sources_are_errors(card, tmp_path):
    with pytest.raises(AudioError, match=r"nowhere: no such file or folder$"):
        found(card, tmp_path / "nowhere")
    with pytest.raises(AudioError, match=r"nowhere: no such file or folder \(2 missing\)$"):
        found(tmp_path / "nowhere", card, tmp_path / "else")
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="empty: no audio files"):
        found(card, tmp_path / "empty")


def test_folders_that_cannot_be_listed_are_named(card, caplog, monkeypatch):
    scandir = os.scandir

    def locked(folder):
        if str(folder).endswith("deep"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    assert found(card) == ["a/1", "a/2", "b/1"]
    assert found(card / "**" / "*.wav") == ["a/1", "b/1"]
    assert [r.message for r in caplog.records] == [
        f"{card / 'b/deep'}: folder cannot be listed (Permission denied)"
    ] * 2


def test_names_that_no_table_can_hold_are_written_in_percent(tmp_path):
    latin = os.fsdecode(b"caf\xe9.wav")
    (tmp_path / "[").mkdir()
    for name in (latin, "two\nlines.wav", "[/b].wav", "x" * 248 + ".wav"):
        (tmp_path / name).touch()
    recordings = list(iter_recordings([str(tmp_path)]))
    assert [r.name for r in recordings] == ["[/b]", "caf%E9", "two%0Alines", "x" * 248]
    assert all(Path(r.path).exists() for r in recordings)


def test_lists_of_parts(card):
    table = card / "list.csv"
    table.write_text(
        "site,file,start,end\nx,a/1.wav,10,25.5\nx,a/1.wav,,\n\nx,b/deep/3.mp3,60,\nx,/elsewhere/4.wav,,3600.25\n"
    )
    recordings = list(iter_recordings([], [str(table)]))
    assert [(r.name, r.path, r.start_s, r.end_s) for r in recordings] == [
        ("a/1@10-25.5", str(card / "a/1.wav"), 10.0, 25.5),
        ("a/1", str(card / "a/1.wav"), 0.0, None),
        ("b/deep/3@60-end", str(card / "b/deep/3.mp3"), 60.0, None),
        ("4@0-3600.25", "/elsewhere/4.wav", 0.0, 3600.25),
    ]
    assert [bool(r.changed) for r in recordings] == [True, True, True, False]


@pytest.mark.parametrize("column", ["file", "path", "filename", "file_name", "File", "url"])
def test_parquet_lists_and_names_of_columns(card, column):
    table = pyarrow.table({column: ["a/1.wav", "b/1.wav"], "start_s": [None, 5], "end_s": [2.5, float("nan")]})
    pyarrow.parquet.write_table(table, card / "list.parquet")
    assert found(lists=[card / "list.parquet"]) == ["a/1@0-2.5", "b/1@5-end"]


def test_texts_of_paths(card):
    latin = os.fsdecode(b"caf\xe9, black.wav")
    (card / latin).touch()
    (card / "list.txt").write_bytes(b"a/1.wav\r\n\nb/1.wav\n" + os.fsencode(latin) + b"\ns3://bucket/x/5.flac\n")
    recordings = list(iter_recordings([], [str(card / "list.txt")]))
    assert [r.name for r in recordings] == ["a/1", "b/1", "caf%E9, black", "5"]
    assert [bool(r.changed) for r in recordings] == [True, True, True, False]


def test_tables_with_tabs(card):
    (card / "list.tsv").write_text("start\tfile\n1\ta/1.wav\n")
    assert found(card / "b", lists=[card / "list.tsv"]) == ["1", "deep/3", "a/1@1-end"]


def test_names_from_the_pipe(card, monkeypatch):
    monkeypatch.chdir(card)
    piped(monkeypatch, b"a/1.wav\nb/1.wav\n")
    assert found(lists=["-"]) == ["a/1", "b/1"]
    piped(monkeypatch, b"file,end\na/1.wav,7\n")
    assert found(lists=["-"]) == ["a/1@0-7"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,start,end\na/1.wav,1,2\na/1.wav,3,2\n", r"list\.csv:3: end=2 must be above the start, 3"),
        ("file,start\na/1.wav,soon\n", r"list\.csv:2: start='soon' must be seconds"),
        ("file,start\na/1.wav,-1\n", r"list\.csv:2: start='-1' must be seconds"),
        ("file,start\n,1\n", r"list\.csv:2: no file name"),
        ("name,start\na/1.wav,1\n", r"list\.csv: no column file or path .*'name,start'"),
        ("file\nc/1.wav\nc/2.wav\n", r"list\.csv:2: c/1\.wav: no such file, nor any other of the list"),
        ("file\n", r"list\.csv: empty list"),
    ],
)
def test_wrong_rows_are_named_by_their_line(card, content, message):
    (card / "list.csv").write_text(content)
    with pytest.raises(AudioError, match=message):
        found(lists=[card / "list.csv"])


def test_lists_that_cannot_be_read(card):
    (card / "list.csv").write_text("file,start\na/1.wav\n")
    with pytest.raises(AnnotationError, match=r"list\.csv:2: 1 cells, the header has 2"):
        found(lists=[card / "list.csv"])
    with pytest.raises(AudioError, match=r"missing\.csv: no such file"):
        found(lists=[card / "missing.csv"])
    (card / "list.parquet").write_bytes(b"no such thing")
    with pytest.raises(AudioError, match=r"list\.parquet: cannot be read as Parquet"):
        found(lists=[card / "list.parquet"])


def test_a_bad_row_comes_after_those_before_it(card):
    (card / "list.csv").write_text("file,start\na/1.wav,1\na/1.wav,x\n")
    recordings = iter_recordings([], [str(card / "list.csv")])
    assert next(recordings).name == "a/1@1-end"
    with pytest.raises(AudioError):
        next(recordings)


def test_audio_from_the_pipe(tmp_path, monkeypatch):
    spooled = []
    for content in (b"sound", b"sound", b"noise"):
        piped(monkeypatch, content)
        spooled += iter_recordings(["-"], spool=tmp_path)
        assert Path(spooled[-1].path).read_bytes() == content
    assert spooled[0] == spooled[1] != spooled[2]
    assert (spooled[0].name, spooled[0].path, spooled[0].size) == ("stdin", str(tmp_path / "stdin"), 5)
    piped(monkeypatch, b"")
    with pytest.raises(AudioError, match="no audio came through the pipe"):
        next(iter_recordings(["-"], spool=tmp_path))
    with pytest.raises(AudioError, match="there is one pipe"):
        next(iter_recordings(["-"], ["-"], spool=tmp_path))


ODD_NAMES = (os.fsdecode(b"caf\xe9"), "two\nlines", "b]", "x" * 248, 'a, "b"', "pi\u00f1a.2020")


@pytest.fixture
def data_sets(tmp_path):
    """A folder of two data sets, one in RFCX's layout; and where events go."""
    sets = tmp_path / "sets"
    for folder, names in (
        ("rfcx/train", ODD_NAMES),
        ("rfcx/test", ("1", "2")),
        ("pond/[", ODD_NAMES),
        ("pond/2024", (*ODD_NAMES, "night@5-10")),
    ):
        (sets / folder).mkdir(parents=True)
        for name in names:
            (sets / folder / f"{name}.WAV").touch()
    return sets, tmp_path / "events.csv"


def write_events(path, recordings):
    """A table as detection writes it, with an event of every recording."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(DETECTION_COLUMNS)
        writer.writerows([r.name, "1.000", "2.000", "s3", "0.9", "", ""] for r in recordings)


def test_detections_of_a_folder_of_data_sets_are_labels_of_rfcx(data_sets):
    sets, events = data_sets
    recordings = [r for r in find_recordings([str(sets)]) if "/rfcx/" in r.path]
    write_events(events, recordings)
    root = sets / "rfcx"
    (root / "train_tp.csv").write_text("recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n")
    read = read_annotations(root, extra_tables=[events], species=rfcx_species())
    paths = audio_by_id(root, ["train", "test"])
    assert set(read.recording_ids) == paths.keys()
    assert {str(path) for path in paths.values()} == {r.path for r in recordings}


@pytest.mark.parametrize("below", ["", "pond"])
def test_detections_of_a_folder_of_data_sets_are_labels_of_annotations(data_sets, below):
    sets, events = data_sets
    recordings = [r for r in find_recordings([str(sets)]) if f"/sets/{below}" in r.path]
    write_events(events, recordings)
    project = read_project(ProjectFiles(sets / below, extra_tables=[events]))
    assert {str(project.audio.paths[name]) for name in project.annotations.recording_ids} == {
        r.path for r in recordings
    }
    assert len(project.annotations) == len(recordings)


def test_parts_and_names_that_were_taken_are_labels_of_their_files(card):
    (card / "a" / "5.wav").touch()
    (card / "list.csv").write_text("file,start,end\na/2.FLAC,10,25.5\na/5.wav,5,\na/5.wav,,\n")
    index = AudioIndex(card)
    for found in iter_recordings([], [str(card / "list.csv")]):
        assert str(index.paths[index.find(found.name)]) == found.path
    for found in find_recordings([str(card / folder) for folder in ("a", "b")])[2:]:
        assert str(index.paths[index.find(found.name)]) == found.path
