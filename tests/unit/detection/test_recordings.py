"""Which files are found, and their names."""

from pathlib import Path

import pytest

from rfcx_ssl.audio.find import AUDIO_SUFFIXES
from rfcx_ssl.detection.recordings import find_recordings
from rfcx_ssl.errors import AudioError


@pytest.fixture
def card(tmp_path):
    for name in ("a/1.wav", "a/2.FLAC", "a/._1.wav", "a/notes.txt", "b/1.wav", "b/deep/3.mp3"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_folders_are_searched_and_files_taken_as_they_are(card):
    found = find_recordings([card / "a", card / "a" / "notes.txt"])
    assert [r.path.name for r in found] == ["1.wav", "2.FLAC", "notes.txt"]
    assert [r.name for r in found] == ["1", "2", "notes"]


@pytest.mark.parametrize("suffix", sorted(AUDIO_SUFFIXES))
def test_every_audio_suffix_is_found_at_any_depth(tmp_path, suffix):
    path = tmp_path / "card" / "2021" / "march" / f"night{suffix.upper()}"
    path.parent.mkdir(parents=True)
    path.touch()
    assert [r.path for r in find_recordings([tmp_path / "card"])] == [path]


def test_equal_stems_get_their_folders_and_each_file_comes_once(card):
    found = find_recordings([card, card / "a" / "1.wav"])
    assert [r.name for r in found] == ["a/1", "2", "b/1", "3"]


def test_equal_paths_but_for_the_suffix(card):
    (card / "a" / "1.ogg").touch()
    assert [r.name for r in find_recordings([card / "a"])] == ["1.ogg", "1.wav", "2"]


def test_missing_and_empty_sources_are_errors(card, tmp_path):
    with pytest.raises(AudioError, match="nowhere: no such file or folder"):
        find_recordings([card, Path(tmp_path / "nowhere")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no audio files"):
        find_recordings([tmp_path / "empty"])
