import os

import numpy as np
import pytest

from rfcx_ssl.audio import read_audio
from rfcx_ssl.data.cache import AudioCache
from rfcx_ssl.data.recordings import audio_by_id, open_recordings
from rfcx_ssl.errors import AudioError
from rfcx_ssl.workers import open_threads


@pytest.fixture
def recordings(forest):
    return list(
        open_recordings(
            audio_by_id(forest, ["train"]),
            ["rec00", "rec01"],
            16_000,
            where=str(forest / "train"),
            allow_missing=False,
        ).values()
    )


def test_a_cached_crop_is_the_decoded_one_to_16_bits(recordings, tmp_path):
    cache = AudioCache(tmp_path, 16_000)
    assert cache.build(recordings) == 2 and cache.build(recordings) == 0
    crop = cache.read(recordings[0], 1234, 5000)
    direct = read_audio(recordings[0].path, start_samples=1234, num_samples=5000, sample_rate_hz=16_000)
    assert crop.dtype == np.float32 and crop.shape == (5000,)
    np.testing.assert_allclose(crop, direct, atol=0.75 / 32768)
    assert cache.verify(recordings) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["rec00.json", "rec00.npy", "rec01.json", "rec01.npy"]


def test_zeros_follow_the_end(recordings, tmp_path):
    cache = AudioCache(tmp_path, 16_000)
    cache.build(recordings[:1])
    crop = cache.read(recordings[0], 63_990, 20)
    assert np.all(crop[10:] == 0) and np.any(crop[:10] != 0)


def test_a_changed_source_or_a_shortened_file_is_cached_again(recordings, tmp_path):
    cache = AudioCache(tmp_path, 16_000)
    cache.build(recordings)
    stat = recordings[0].path.stat()
    os.utime(recordings[0].path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1_000_000_000))
    assert [cache.is_fresh(r) for r in recordings] == [False, True]
    with (tmp_path / "rec01.npy").open("r+b") as file:
        file.truncate(1000)
    assert cache.build(recordings) == 2
    assert all(cache.is_fresh(r) for r in recordings)


def test_damage_is_found_and_named(recordings, tmp_path):
    cache = AudioCache(tmp_path, 16_000)
    cache.build(recordings)
    path = tmp_path / "rec01.npy"
    with path.open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\x12\x34")
    assert cache.verify(recordings) == ["rec01"]
    np.save(path, np.zeros(7, np.int16))
    with pytest.raises(AudioError, match=r"rec01\.npy: holds int16 \(7,\)"):
        cache.read(recordings[1], 0, 5)
    path.write_bytes(b"junk")
    with pytest.raises(AudioError, match=r"rec01\.npy: unreadable audio cache"):
        cache.read(recordings[1], 0, 5)


def test_a_folder_that_cannot_be_written_is_named(recordings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(AudioError, match=r"file/cache: audio cannot be cached there .*set data\.cache_dir"):
        AudioCache(tmp_path / "file" / "cache", 16_000).build(recordings)


def test_at_the_rate_of_the_file_nothing_is_lost(forest, tmp_path):
    found = open_recordings(
        audio_by_id(forest, ["train"]), ["rec02"], 48_000, where=str(forest / "train"), allow_missing=False
    )
    cache = AudioCache(tmp_path, 48_000)
    cache.build(found.values())
    np.testing.assert_array_equal(cache.read(found["rec02"], 5, 1000), read_audio(found["rec02"].path)[5:1005])


@pytest.mark.parametrize(("asked", "used"), [(None, 3), (5, 5)])
def test_decoding_leaves_busy_cores_alone_as_every_command_does(recordings, tmp_path, monkeypatch, asked, used):
    counts = []

    def watched(count):
        counts.append(count)
        return open_threads(count)

    monkeypatch.setattr("rfcx_ssl.threads.usable_cores", lambda *_: 8)
    monkeypatch.setattr("rfcx_ssl.threads.free_cores", lambda *_: 3)
    monkeypatch.setattr("rfcx_ssl.data.cache.open_threads", watched)
    assert AudioCache(tmp_path, 16_000).build(recordings, asked) == 2
    assert counts == [used]
