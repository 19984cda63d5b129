import unicodedata

import pytest

from rfcx_ssl.annotations.audio_index import AudioIndex, without_suffix
from rfcx_ssl.annotations.convert import NoAudio
from rfcx_ssl.errors import AnnotationError


@pytest.fixture
def index(tmp_path):
    for name in ("a/x.wav", "b/x.FLAC", "b/deep/y.ogg", "c/rec.2020.wav", "c/Q.wav", "top.wav", "pi\u00f1a.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return AudioIndex(tmp_path)


def test_ids_are_paths_without_suffix(index):
    assert sorted(index.paths) == ["a/x", "b/deep/y", "b/x", "c/Q", "c/rec.2020", "pi\u00f1a", "top"]


@pytest.mark.parametrize(
    "cell,folder,expected",
    [
        ("a/x", "", "a/x"),
        ("a/x.wav", "", "a/x"),
        ("b\\x.flac", "", "b/x"),
        ("./b/x", "", "b/x"),
        ("x.wav", "a", "a/x"),  # beside the table
        ("/elsewhere/x.wav", "b", "b/x"),  # its name, beside the table
        ("y", "", "b/deep/y"),  # the only one of that name
        ("deep/y.ogg", "a", "b/deep/y"),
        ("rec.2020", "", "c/rec.2020"),
        ("D:\\frogs\\2020\\b\\x.wav", "", "b/x"),  # the path is an end of the cell
        ("/mnt/old/top.wav", "", "top"),
        ("A/X.WAV", "", "a/x"),
        ("q.wav", "", "c/Q"),
        (unicodedata.normalize("NFD", "pi\u00f1a.wav"), "", "pi\u00f1a"),
        ("a/x@10-25.5", "", "a/x"),  # a part of it
        ("x.wav@0-60", "b", "b/x"),
        ("card/top@60-end", "", "top"),
    ],
)
def test_what_a_cell_means(index, tmp_path, cell, folder, expected):
    assert index.find(cell, str(tmp_path / folder)) == expected


def test_absolute_paths_below_root(index, tmp_path):
    assert index.find(str(tmp_path / "a" / "x.wav")) == "a/x"
    assert index.find(str(tmp_path / "b" / "x")) == "b/x"


@pytest.mark.parametrize(
    "own,folder,expected",
    [
        ("x", "a", "a/x"),
        ("x", "raven/b", "b/x"),
        ("y", "raven", "b/deep/y"),
        ("deep/y", "", "b/deep/y"),
        ("Y", "", "b/deep/y"),
        ("y@10-20", "raven", "b/deep/y"),
    ],
)
def test_what_a_table_belongs_to(index, tmp_path, own, folder, expected):
    assert index.find(own, str(tmp_path / folder), own=True) == expected


@pytest.mark.parametrize("own,folder", [("y", "a"), ("y", "raven/a"), ("x", "c"), ("X", "raven/C")])
def test_a_folder_with_audio_sends_its_tables_nowhere_else(index, tmp_path, own, folder):
    with pytest.raises(NoAudio):
        index.find(own, str(tmp_path / folder), own=True)


def test_doubt_is_refused_with_the_candidates(index, tmp_path):
    with pytest.raises(ValueError, match=r"'x\.wav' may be a/x or b/x: give its path below"):
        index.find("x.wav")
    with pytest.raises(ValueError, match="'x' may be a/x or b/x"):
        index.find("x", str(tmp_path / "raven"), own=True)


@pytest.mark.parametrize("cell", ["c/x.wav", "/elsewhere/c/x.wav", "deep/x"])
def test_another_folder_of_the_same_name_of_a_file_is_no_match(index, cell):
    with pytest.raises(NoAudio, match=r"no audio file .* there is a/x or b/x"):
        index.find(cell)


@pytest.mark.parametrize("cell", ["", "nothing", ".", "/"])
def test_no_match(index, cell):
    with pytest.raises(NoAudio):
        index.find(cell)


def test_a_file_of_both_the_root_and_the_folder_of_the_table_is_in_doubt(index, tmp_path):
    (tmp_path / "a" / "top.wav").touch()
    with pytest.raises(ValueError, match=r"'top\.wav' may be a/top or top"):
        AudioIndex(tmp_path).find("top.wav", str(tmp_path / "a"))


def test_two_files_of_one_name_are_refused(index, tmp_path):
    (tmp_path / "a" / "x.mp3").touch()
    with pytest.raises(AnnotationError, match=r"a/x\.mp3 and x\.wav: two audio files of one name in a folder"):
        AudioIndex(tmp_path)


def test_only_audio_suffixes_are_taken_off():
    assert [without_suffix(name) for name in ("a.wav", "a.WAV", "a.b", "a", "2020.05.01", ".wav")] == [
        "a", "a", "a.b", "a", "2020.05.01", "",
    ]  # fmt: skip
