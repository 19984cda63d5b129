import os

import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.roots import find_recordings, parse_roots


def ids(*roots):
    return [found.recording_id for found in find_recordings(parse_roots([str(root) for root in roots]))]


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def test_only_audio_names_are_tried_in_a_fixed_order(tmp_path):
    for name in ("b.FLAC", "a.wav", "notes.txt", ".hidden.wav", "z/a.mp3", ".trash/x.wav", "c.opus"):
        touch(tmp_path / "audio" / name)
    assert ids(tmp_path / "audio") == ["audio/a.wav", "audio/b.FLAC", "audio/c.opus", "audio/z/a.mp3"]


def test_link_loops_end_and_linked_folders_are_followed_once(tmp_path):
    touch(tmp_path / "audio/one/a.wav")
    touch(tmp_path / "elsewhere/b.wav")
    (tmp_path / "audio/one/up").symlink_to(tmp_path / "audio")
    (tmp_path / "audio/self").symlink_to(tmp_path / "audio/self")
    (tmp_path / "audio/far").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "audio/far-again").symlink_to(tmp_path / "elsewhere")
    assert ids(tmp_path / "audio") == ["audio/far/b.wav", "audio/one/a.wav"]


def test_dangling_links_and_unprintable_names_are_problems_not_crashes(tmp_path):
    folder = tmp_path / "audio"
    touch(folder / "räven 鳥\u202f1.wav")
    touch(folder / "tab\there.wav")
    (folder / "gone.wav").symlink_to(folder / "nowhere.wav")
    touch(folder / os.fsdecode(b"latin-\xe9.wav"))
    found = {item.recording_id: item.problem for item in find_recordings(parse_roots([str(folder)]))}
    assert found.pop("audio/räven 鳥\u202f1.wav") == ""
    assert "No such file" in found.pop("audio/gone.wav")
    assert sorted(found) == [r"audio/latin-\\udce9.wav", r"audio/tab\there.wav"]
    assert all("rename it" in problem for problem in found.values())


def test_a_manifest_folder_below_a_root_is_not_scanned(tmp_path):
    touch(tmp_path / "audio/a.wav")
    touch(tmp_path / "audio/manifests/audio/segment.flac")
    touch(tmp_path / "audio/manifests/.state/state.sqlite")
    assert ids(tmp_path / "audio") == ["audio/a.wav"]


def test_roots_have_labels_that_must_differ(tmp_path):
    for disk in ("disk1", "disk2"):
        touch(tmp_path / disk / "audio/a.wav")
    first, second = tmp_path / "disk1/audio", tmp_path / "disk2/audio"
    with pytest.raises(ManifestError, match=f"both labelled 'audio'; write one as LABEL={second}"):
        parse_roots([str(first), str(second)])
    assert ids(first, f"second={second}") == ["audio/a.wav", "second/a.wav"]
    with pytest.raises(ManifestError, match="no such folder"):
        parse_roots([str(tmp_path / "nowhere")])


def test_single_files_are_roots_too(tmp_path):
    paths = [touch(tmp_path / "audio" / name) for name in ("a.wav", "b.wav")]
    assert ids(*paths) == ["audio/a.wav", "audio/b.wav"]
