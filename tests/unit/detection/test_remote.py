"""Recordings on other machines: folders, patterns, single files, and what tells that they changed."""

import sys

import pytest

from rfcx_ssl.detection.sources import iter_recordings
from rfcx_ssl.errors import AudioError, MissingExtraError

FILES = ("a/1.wav", "a/2.flac", "a/notes.txt", "a/.hidden.wav", "b/1.wav", "b/deep/3.mp3")


@pytest.fixture
def filled(bucket):
    for name in FILES:
        bucket.pipe_file(f"/birds/{name}", name.encode())
    return "memory://birds"


def names(*sources):
    return [recording.name for recording in iter_recordings(sources)]


def test_folders_in_order(filled):
    found = list(iter_recordings([filled]))
    assert [r.name for r in found] == ["a/1", "a/2", "b/1", "b/deep/3"]
    assert (found[0].path, found[0].size) == ("memory://birds/a/1.wav", 7)
    assert names(f"{filled}/a", f"{filled}/a/notes.txt") == ["1", "2", "notes"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("*/1.wav", ["a/1", "b/1"]), ("**/*.mp3", ["b/deep/3"]), ("[b]", ["b/1", "b/deep/3"]), ("a/?.*", ["1", "2"])],
)
def test_patterns(filled, pattern, expected):
    assert names(f"{filled}/{pattern}") == expected


def test_a_file_that_is_written_again_is_changed(filled, bucket):
    before = list(iter_recordings([filled]))
    bucket.pipe_file("/birds/b/1.wav", b"b/1.wav")
    after = list(iter_recordings([filled]))
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True]


def test_missing_and_empty_ones_are_errors(filled, bucket):
    with pytest.raises(AudioError, match=r"memory://birds/c: no such file or folder"):
        names(filled, f"{filled}/c")
    with pytest.raises(AudioError, match=r"memory://birds/\*/4\.wav: no audio files"):
        names(f"{filled}/*/4.wav")
    with pytest.raises(AudioError, match=r"memory://birds/c: no such folder"):
        names(f"{filled}/c/*.wav")
    with pytest.raises(AudioError, match=r"nosuch://birds: Protocol not known: nosuch"):
        names("nosuch://birds")


def test_a_folder_that_cannot_be_listed_is_passed_over(filled, bucket, monkeypatch, caplog):
    listed = type(bucket).ls

    def locked(self, path, detail=True, **options):
        if path.endswith("/b"):
            raise RuntimeError("403 forbidden\nand more")
        return listed(self, path, detail=detail, **options)

    monkeypatch.setattr(type(bucket), "ls", locked)
    assert names(filled) == ["a/1", "a/2"]
    assert [r.message for r in caplog.records] == ["memory://birds/b: cannot be listed (403 forbidden)"]


def test_addresses_of_files_of_this_machine(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list(iter_recordings([f"file://{tmp_path}", f"file://{tmp_path}/b/*.wav"]))
    assert [r.name for r in found] == ["a/1", "a/2", "b/1", "b/deep/3", "1"]
    assert found == list(iter_recordings([str(tmp_path), f"{tmp_path}/b/*.wav"]))


def test_s3_asks_for_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'rfcx-ssl\[s3\]'"):
        names("s3://bucket/birds")


def test_the_web(web):
    for name in FILES:
        (web.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (web.folder / name).write_bytes(name.encode())
    (web.folder / "b" / "up.html").write_text('<a href="/a/1.wav">elsewhere</a>')
    assert names(f"{web.url}/") == ["a/1", "a/2", "b/1", "b/deep/3"]
    assert names(f"{web.url}/b/") == ["1", "deep/3"]
    assert names(f"{web.url}/*/1.wav") == ["a/1", "b/1"]
    (found,) = iter_recordings([f"{web.url}/b/deep/3.mp3?key=a/b.c"])
    assert (found.name, found.size, found.changed) == ("3", 12, '"/b/deep/3.mp3-1"')
    with pytest.raises(AudioError, match=r"/c\.wav: no such file or folder"):
        names(f"{web.url}/c.wav")
    with pytest.raises(AudioError, match=r"/nothing/: no such folder"):
        names(f"{web.url}/nothing/")


def test_a_listed_address_is_not_asked_about(web, tmp_path):
    (tmp_path / "list.csv").write_text(f"url,start\n{web.url}/1.wav,\n{web.url}/2.wav,3\n")
    assert [(r.name, r.changed) for r in iter_recordings([], [str(tmp_path / "list.csv")])] == [
        ("1", ""),
        ("2@3-end", ""),
    ]
    assert web.asked == []


def test_the_hub(hub):
    expected = ("hf://datasets/me/birds/a/1.wav", 5, "abc")
    for source, name in (("", "a/1"), ("/a", "1"), ("/a/1.wav", "1"), ("/*/*.wav", "a/1")):
        (found,) = iter_recordings([f"hf://datasets/me/birds{source}"])
        assert (found.name, found.path, found.size, found.changed) == (name, *expected)
    for missing in ("hf://datasets/me/birds/c", "hf://datasets/me/frogs"):
        with pytest.raises(AudioError, match=f"{missing}: no such file or folder"):
            names(missing)
