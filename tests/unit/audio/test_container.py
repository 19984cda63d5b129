import itertools

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.audio import audio_info, open_audio, read_audio
from rfcx_ssl.audio.container import PLACEHOLDERS, audio_extent, wave_chunks
from rfcx_ssl.errors import AudioError

FRAMES = 20_000
KINDS = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ALAW"), ("WAV", "IMA_ADPCM"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("W64", "PCM_16"), ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("AU", "PCM_16"), ("CAF", "PCM_16"),
]  # fmt: skip


def write(path, container="WAV", subtype="PCM_16", endian="FILE", channels=2):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (FRAMES, channels)).astype(np.float32)
    soundfile.write(path, samples, 48_000, format=container, subtype=subtype, endian=endian)
    return path.read_bytes()


def cut(path, data, kept):
    path.write_bytes(data[:kept])


def extent_of(path):
    with path.open("rb", buffering=0) as file:
        extent = audio_extent(file)
        assert file.tell() == 0
    return extent


@pytest.mark.parametrize("container,subtype", KINDS)
@pytest.mark.parametrize("share", [0.4, 0.999])
def test_a_cut_file_is_named_with_both_lengths(tmp_path, container, subtype, share):
    path = tmp_path / "recording"
    data = write(path, container, subtype)
    whole = audio_info(path)
    assert whole.frames >= FRAMES and whole.problem is None
    cut(path, data, int(share * len(data)))
    with pytest.raises(
        AudioError, match=r"recording: truncated: its header states \d+ bytes of audio, the file holds"
    ):
        audio_info(path)
    with pytest.raises(AudioError, match="truncated"):
        read_audio(path, num_samples=10)
    extent = extent_of(path)
    lost = len(data) - int(share * len(data))
    assert 0 <= lost - (extent.data.size_bytes - extent.found_bytes) <= 8  # CAF and ADPCM end with a few other bytes


@settings(max_examples=60, deadline=None)
@given(missing=st.integers(1, FRAMES * 4))
def test_any_number_of_missing_bytes_is_seen_but_for_what_a_counted_header_explains(tmp_path_factory, missing):
    path = tmp_path_factory.mktemp("cut") / "a.wav"
    data = write(path)
    cut(path, data, len(data) - missing)
    if missing in (44, 36):  # a data size that counts the header of 44 bytes in, or all of it but RIFF and its size
        assert extent_of(path).problem is None
    else:
        assert f"states {FRAMES * 4} bytes of audio, the file holds {FRAMES * 4 - missing}" in extent_of(path).problem


UNFILLED = [0, *PLACEHOLDERS[:-1], 0x7FFF_F000 - 4, 0xFFFF_FFFF - 36]


@pytest.mark.parametrize("size", UNFILLED)
@pytest.mark.parametrize("riff_size", [0, 36, 0xFFFF_FFFF])
@pytest.mark.parametrize("endian", ["FILE", "BIG"])
def test_a_size_that_was_never_filled_in_means_to_the_end(tmp_path, size, riff_size, endian):
    path = tmp_path / "pipe.wav"
    data = write(path, endian=endian)
    whole, order = read_audio(path), "big" if endian == "BIG" else "little"
    place = data.index(b"data") + 4
    audio = data[place + 4 :][:40_000]
    path.write_bytes(data[:4] + riff_size.to_bytes(4, order) + data[8:place] + size.to_bytes(4, order) + audio)
    assert audio_info(path).frames == 10_000
    np.testing.assert_array_equal(read_audio(path), whole[:10_000])
    np.testing.assert_array_equal(read_audio(path, start_samples=9_000), whole[9_000:10_000])


@pytest.mark.parametrize("sizes", [bytes(24), b"\xff" * 24])
def test_so_does_the_long_size_of_rf64(tmp_path, sizes):
    path = tmp_path / "pipe.wav"
    data = write(path, "RF64")
    whole = read_audio(path)
    place = data.index(b"ds64") + 8
    path.write_bytes(data[:place] + sizes + data[place + 24 : -40_000])
    np.testing.assert_array_equal(read_audio(path), whole[:10_000])


def test_a_recording_without_audio_but_with_notes_stays_empty(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(0), 48_000)
    data = path.read_bytes()
    notes = b"LIST" + (4).to_bytes(4, "little") + b"INFO"
    path.write_bytes(data[:4] + (len(data) + len(notes) - 8).to_bytes(4, "little") + data[8:] + notes)
    assert audio_info(path).frames == 0
    path.write_bytes(data)
    assert audio_info(path).frames == 0


def test_the_four_gigabytes_of_an_rf64_are_counted_whole(tmp_path):
    path = tmp_path / "long.wav"
    data = write(path, "RF64")
    place = data.index(b"ds64") + 16
    path.write_bytes(data[:place] + (5 * 2**30).to_bytes(8, "little") + data[place + 8 :])
    with pytest.raises(AudioError, match=f"states {5 * 2**30} bytes of audio, the file holds {4 * FRAMES}"):
        audio_info(path)


def test_what_is_left_can_be_read_where_a_part_will_do(tmp_path):
    path = tmp_path / "a.wav"
    data = write(path)
    whole = read_audio(path)
    cut(path, data, 44 + 4 * 5_000)
    info = audio_info(path, partial=True)
    assert info.frames == 5_000 and info.problem == f"{path}: truncated: its header states 80000 bytes of audio, " + (
        "the file holds 20000"
    )
    np.testing.assert_array_equal(read_audio(path, partial=True), whole[:5_000])
    with open_audio(path, partial=True) as source:
        assert source.problem == info.problem


def test_big_endian_waves_and_bytes_behind_the_audio_are_understood(tmp_path):
    path = tmp_path / "a.wav"
    data = write(path, endian="BIG")
    assert data[:4] == b"RIFX" and audio_info(path).frames == FRAMES
    path.write_bytes(data + b"LIST" + (4).to_bytes(4, "big") + b"INFO")
    assert audio_info(path).frames == FRAMES
    cut(path, data, 50_000)
    with pytest.raises(AudioError, match="truncated"):
        audio_info(path)


def test_millions_of_empty_chunks_end_the_search(tmp_path):
    path = tmp_path / "zeros.wav"
    path.write_bytes(b"RIFF\x00\x00\x00\x00WAVE" + bytes(1 << 20))
    with path.open("rb", buffering=0) as file:
        assert len(list(wave_chunks(file))) == 1_000
    assert extent_of(path) is None


@pytest.mark.parametrize("container,subtype", [*KINDS, ("FLAC", "PCM_16"), ("OGG", "VORBIS")])
def test_no_damage_raises_anything_else(tmp_path, container, subtype):
    path = tmp_path / "a"
    data = write(path, container, subtype)
    for kept in itertools.chain(range(0, 120), (500, 4_095, 4_100)):
        cut(path, data, kept)
        extent_of(path)
        try:
            read_audio(path)
        except AudioError as error:
            assert str(path) in str(error)
