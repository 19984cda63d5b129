import math

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.errors import AudioError
from rfcx_ssl.manifest import prepare
from rfcx_ssl.manifest.prepare import PrepareTask, prepare_recording, prepare_recordings


def task(path, frames, out=None, channel=None, max_samples=480_000):
    return PrepareTask("audio/a", str(path), frames, str(out) if out else None, 32_000, max_samples, channel)


@pytest.mark.parametrize("rate_hz", [8_000, 22_051, 32_000, 44_100, 96_000])
@pytest.mark.parametrize("block_frames", [1_000, 1 << 18])
def test_segments_are_the_whole_resampled_recording(tmp_path, monkeypatch, rate_hz, block_frames):
    monkeypatch.setattr(prepare, "BLOCK_FRAMES", block_frames)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (rate_hz * 2 + 13, 3)).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, rate_hz, subtype="FLOAT")
    segments = prepare_recording(task(tmp_path / "a.wav", len(samples), tmp_path / "out", max_samples=20_000))
    mono = samples.mean(axis=1)
    expected = mono if rate_hz == 32_000 else soxr.resample(mono, rate_hz, 32_000)
    files = sorted((tmp_path / "out").rglob("*.flac"))
    written = [soundfile.read(path, dtype="float32")[0] for path in files]
    assert [len(part) for part in written] == [segment.num_samples for segment in segments]
    assert sum(len(part) for part in written) == round(len(mono) * 32_000 / rate_hz)
    np.testing.assert_allclose(np.concatenate(written), expected, atol=0.51 / 32768)


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 50), min_size=1, max_size=8),
    blocks=st.lists(st.integers(0, 70), max_size=20),
)
def test_reblocking_loses_and_moves_nothing(lengths, blocks):
    signal = np.arange(sum(blocks), dtype=np.float32) + 1
    stream = iter(np.split(signal, np.cumsum(blocks)[:-1]) if blocks else [])
    pieces = list(prepare._cut(stream, lengths))
    assert [len(piece) for piece in pieces] == lengths
    padded = np.pad(signal, (0, sum(lengths)))[: sum(lengths)]
    np.testing.assert_array_equal(np.concatenate(pieces), padded)


@pytest.mark.parametrize("offset", [0.0, 0.01, 0.25, -0.5])
@pytest.mark.parametrize("level", [0.1, 1e-3, 3e-5])
def test_rms_is_around_the_mean(offset, level):
    samples = (offset + level * np.random.default_rng(0).normal(size=480_000)).astype(np.float32)
    assert math.isclose(prepare._rms(samples), samples.astype(np.float64).std(), rel_tol=2e-3)


def test_a_damaged_recording_leaves_no_segments_behind(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 48_000 * 9)
    samples[-10] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    (result,) = prepare_recordings([task(tmp_path / "a.wav", len(samples), tmp_path / "out", max_samples=32_000)])
    assert result.segments == ()
    assert result.problem == "holds NaN or infinite samples near 5.5 s"
    assert list((tmp_path / "out").rglob("*.flac")) == []


def test_a_recording_that_changes_or_lacks_the_channel_is_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(9_000), 48_000)
    with pytest.raises(AudioError, match="9000 samples, the header scan saw 8000; it is changing"):
        prepare_recording(task(tmp_path / "a.wav", 8_000))
    with pytest.raises(AudioError, match="no channel 1, the file has 1"):
        prepare_recording(task(tmp_path / "a.wav", 9_000, channel=1))
