"""Headers that claim what is not there, and files that are none."""

import os
import struct
import tracemalloc

import numpy as np
import pytest
import soundfile

from rfcx_ssl.audio import audio_info, read_audio
from rfcx_ssl.audio.mono import loudest_if_cancelled, to_mono
from rfcx_ssl.errors import AudioError


def noise(frames=9000):
    return np.random.default_rng(0).normal(0, 0.1, frames)


def test_a_flac_that_claims_2_to_the_36_samples_allocates_nothing(tmp_path):
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(), 8000)
    data = bytearray(path.read_bytes())
    data[21] |= 0x0F  # STREAMINFO's 36 bits of samples
    data[22:26] = b"\xff" * 4
    path.write_bytes(data)
    tracemalloc.start()
    with pytest.raises(AudioError, match=r"states \d+ samples, more than \d+ bytes can hold"):
        read_audio(path)
    assert tracemalloc.get_traced_memory()[1] < 10e6
    tracemalloc.stop()


@pytest.mark.parametrize("rate_hz", [0, 1, 10**9])
def test_impossible_rates_are_refused(tmp_path, rate_hz):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(), 8000)
    data = bytearray(path.read_bytes())
    data[24:28] = struct.pack("<I", rate_hz)
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"a\.wav"):
        read_audio(path, sample_rate_hz=48_000)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    for path in (tmp_path / "pipe.wav", tmp_path, "/dev/zero"):
        with pytest.raises(AudioError, match="not a regular file"):
            audio_info(path)
    with pytest.raises(AudioError, match="cannot be read as audio"):
        audio_info("a\0b.wav")


def test_a_long_read_is_the_sum_of_its_pieces(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.c_[noise(), noise() / 2], 8000, subtype="FLOAT")
    whole = read_audio(tmp_path / "a.wav")
    monkeypatch.setattr("rfcx_ssl.audio.files._PIECE_VALUES", 200)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), whole)
    np.testing.assert_allclose(whole, 0.75 * noise(), atol=1e-6)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ((1, -1), 0),
        ((0.5, -0.5), 0),
        ((0.99, -1), 1),
        ((1, 1), None),
        ((1, 0), None),
        ((0, 0), None),
        ((1, -0.8), None),
    ],
)
def test_when_channels_cancel_the_loudest_is_heard(channels, expected):
    samples = (noise()[:, None] * np.array(channels)).astype(np.float32)
    assert loudest_if_cancelled(samples) == expected
    assert to_mono(samples, expected).shape == (9000,)
