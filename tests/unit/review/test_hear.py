"""Stretches and their peaks against a slow loop; embeddings against the model's own."""

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AudioError
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.review.hear import Part, cut_stretches, embed, hear_pool

WINDOWS = WindowSettings()


def slow_peak(column, start, stop, longest):
    """Around the highest frame of a stretch: neighbors of at least half of it, by walking."""
    top = start + int(np.argmax(column[start:stop]))
    reach, first, last = (longest - 1) // 2, top, top + 1
    while first > max(0, top - reach) and column[first - 1] >= column[top] / 2:
        first -= 1
    while last < min(len(column), top + reach + 1) and column[last] >= column[top] / 2:
        last += 1
    return top, first, last


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 2**16))
def test_stretches_and_peaks(num_frames, longest, seed):
    frames = np.random.default_rng(seed).random((num_frames, 2)).astype(np.float32)
    cut = cut_stretches(frames, longest)
    covered = [frame for a, b in zip(cut.start, cut.stop, strict=True) for frame in range(a, b)]
    assert covered == list(range(num_frames))  # every frame once
    lengths = cut.stop - cut.start
    assert lengths.max() <= longest and lengths.max() - lengths.min() <= 1
    shortest = min(num_frames, (longest + 1) // 2)
    for c, (a, b) in enumerate(zip(cut.start.tolist(), cut.stop.tolist(), strict=True)):
        for s in range(2):
            top, first, last = slow_peak(frames[:, s], a, b, longest)
            assert cut.score[c, s] == frames[a:b, s].max()
            got = int(cut.peak_start[c, s]), int(cut.peak_stop[c, s])
            assert 0 <= got[0] <= top < got[1] <= num_frames
            assert got[1] - got[0] == max(last - first, shortest)
            if last - first >= shortest:
                assert got == (first, last)
            else:
                assert got[0] <= first and last <= got[1]


@pytest.fixture
def recordings(tmp_path, tiny_model):
    rng = np.random.default_rng(0)
    rate = tiny_model.grid.sample_rate_hz
    for name, seconds in (("a", 7.3), ("b", 0.5)):
        soundfile.write(tmp_path / f"{name}.wav", rng.normal(0, 0.1, round(seconds * rate)), rate)
    return [Recording(name, str(tmp_path / f"{name}.wav")) for name in ("a", "b")]


def test_the_pool_holds_what_the_model_says(tiny_model, recordings):
    pool = hear_pool(tiny_model, recordings, WINDOWS, 2.0)
    rate = tiny_model.grid.sample_rate_hz
    for number, recording in enumerate(recordings):
        sound = torch.from_numpy(soundfile.read(recording.path, dtype="float32")[0])
        frames = predict_recording(tiny_model, sound, WINDOWS).frame.numpy()
        expected = cut_stretches(frames, round(2.0 / tiny_model.grid.frame_s))
        mine = pool.recording == number
        np.testing.assert_allclose(pool.stretches.score[mine], expected.score, atol=1e-5)
        assert pool.heard_s[number] == len(sound) / rate
        last = int(pool.stretches.stop[mine][-1])
        assert pool.times(number, 0, last)[1] == pytest.approx(len(sound) / rate, abs=1e-6)


def test_a_broken_recording_is_left_out_and_none_at_all_is_an_error(tiny_model, recordings, tmp_path):
    broken = Recording("c", str(tmp_path / "c.wav"))
    (tmp_path / "c.wav").write_bytes(b"RIFF")
    pool = hear_pool(tiny_model, [broken, recordings[1]], WINDOWS, 2.0)
    assert set(pool.recording.tolist()) == {1} and pool.heard_s[0] == 0
    with pytest.raises(AudioError, match="none of the 1 recordings can be heard"):
        hear_pool(tiny_model, [broken], WINDOWS, 2.0)


def test_embeddings_are_those_of_each_part_alone(tiny_model, recordings):
    path, rate = recordings[0].path, tiny_model.grid.sample_rate_hz
    parts = [Part(path, i / 2, i / 2 + 1.5) for i in range(9)] + [Part(recordings[1].path, 0.0, 0.5)]
    got = embed(tiny_model, parts)
    for part, row in zip(parts, got, strict=True):
        a, b = round(part.start_s * rate), round(part.end_s * rate)
        sound = torch.from_numpy(soundfile.read(part.path, dtype="float32")[0][a:b])
        with torch.inference_mode():
            np.testing.assert_allclose(row, tiny_model(sound[None]).embedding[0].numpy(), rtol=1e-4)
    assert embed(tiny_model, []).shape == (0, tiny_model.embedding_dim)
