"""Listening in blocks gives what the whole recording at once gives; damage and low rates are reported."""

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.decisions import decisions_in_force
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.stream import listen, rate_warning
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.settings import WindowSettings


@pytest.fixture(scope="module")
def model(model_dir):
    return load_model(str(model_dir))


def noise_bursts(duration_s, rate_hz, seed=0):
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.choice([0.001, 0.03, 0.3], round(duration_s) * 4), rate_hz // 4)
    return (rng.normal(size=len(loudness)) * loudness).clip(-1, 1).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025])
@pytest.mark.parametrize("aggregate", ["max", "mean"])
def test_blocks_give_the_events_of_the_whole_recording(model, tmp_path, rate_hz, aggregate):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise_bursts(23, rate_hz)[: 23 * rate_hz - 777], rate_hz)
    waveform = torch.from_numpy(read_audio(path, sample_rate_hz=8_000))
    scores = predict_recording(model, waveform, WindowSettings(aggregate=aggregate))
    threshold = float(scores.frame.quantile(0.8))
    options = DetectSettings(threshold=threshold, low_threshold=0.9 * threshold, aggregate=aggregate, block_s=3.0)
    decoder = EventDecoder(decisions_in_force(None, options, model.space.species_names), model.grid)
    expected = sorted(
        decoder.push(scores.frame.numpy()) + decoder.finish(), key=lambda event: (event.start, event.species)
    )
    heard = listen(model, path, "a", options)
    assert heard.problem is None and heard.heard_s == pytest.approx(len(waveform) / 8_000)
    assert len(expected) > 20, "the test needs events"
    assert len({e.start for e in expected}) > 5, "... that come and go"
    names = model.space.species_names
    assert [(e.species, e.score) for e in heard.events] == [
        (names[e.species], pytest.approx(e.score, abs=2e-3)) for e in expected
    ]
    np.testing.assert_allclose([e.box.start_s for e in heard.events], [e.start * model.grid.frame_s for e in expected])
    assert max(e.box.end_s for e in heard.events) <= heard.heard_s
    np.testing.assert_allclose(heard.clip, scores.clip.numpy(), atol=2e-3)


def test_ticks_add_up_to_the_recording(model, tmp_path):
    soundfile.write(tmp_path / "a.wav", noise_bursts(7, 8_000), 8_000)
    ticks = []
    listen(model, tmp_path / "a.wav", "a", DetectSettings(block_s=2.0), ticks.append)
    assert sum(ticks) == pytest.approx(7.0) and len(ticks) == 4


def test_damage_keeps_what_came_before(model, tmp_path):
    soundfile.write(tmp_path / "whole.flac", noise_bursts(20, 8_000), 8_000)
    data = (tmp_path / "whole.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    heard = listen(model, tmp_path / "cut.flac", "cut", DetectSettings(threshold=0.01))
    assert "cut.flac" in heard.problem
    assert 5 < heard.heard_s < 14 and heard.events and heard.clip is not None
    assert all(e.box.end_s <= heard.heard_s for e in heard.events)


def test_opus_is_heard_like_any_other_audio(model, tmp_path):
    path = tmp_path / "a.opus"
    soundfile.write(path, noise_bursts(7, 8_000), 8_000, format="OGG", subtype="OPUS")
    heard = listen(model, path, "a", DetectSettings(threshold=0.01))
    assert heard.problem is None and heard.heard_s == pytest.approx(7.0) and heard.events


def test_what_is_left_of_a_cut_wav_is_heard_and_the_cut_is_named(model, tmp_path):
    soundfile.write(tmp_path / "cut.wav", noise_bursts(20, 8_000), 8_000)
    data = (tmp_path / "cut.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: len(data) // 2])
    heard = listen(model, tmp_path / "cut.wav", "cut", DetectSettings(threshold=0.01, block_s=3.0))
    assert "cut.wav: truncated: its header states 320000 bytes of audio" in heard.problem
    assert heard.heard_s == pytest.approx(10, abs=0.01) and heard.events and heard.clip is not None


@pytest.mark.parametrize("content", [b"", b"this is no audio"])
def test_no_audio_is_a_problem_not_a_crash(model, tmp_path, content):
    (tmp_path / "x.wav").write_bytes(content)
    heard = listen(model, tmp_path / "x.wav", "x", DetectSettings())
    assert heard.events == [] and heard.clip is None and heard.heard_s == 0 and "x.wav" in heard.problem


def test_a_file_without_samples_is_a_problem(model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(0, dtype=np.float32), 8_000)
    assert "has no samples" in listen(model, tmp_path / "x.wav", "x", DetectSettings()).problem


def test_a_blink_of_audio_is_heard(model, tmp_path):
    soundfile.write(tmp_path / "x.wav", np.zeros(3, dtype=np.float32), 8_000)
    heard = listen(model, tmp_path / "x.wav", "x", DetectSettings())
    assert heard.problem is None and len(heard.clip) == 24


@pytest.mark.parametrize("num_samples", [5, 8, 23_995, 23_999])
def test_no_event_without_length_and_none_beyond_the_end(model, tmp_path, num_samples):
    soundfile.write(tmp_path / "x.wav", np.zeros(num_samples, dtype=np.float32), 8_000)
    heard = listen(model, tmp_path / "x.wav", "x", DetectSettings(threshold=0.01, min_duration_s=0.0))
    assert bool(heard.events) == (num_samples >= 8), "five samples are less than a millisecond"
    for event in heard.events:
        shown_start, shown_end = float(f"{event.box.start_s:.3f}"), float(f"{event.box.end_s:.3f}")
        assert 0 <= shown_start < shown_end <= num_samples / 8_000
        assert (event.box.start_s, event.box.end_s) == (shown_start, shown_end), "tables hold what Python sees"


def test_low_rates_are_warned_about_with_the_species_that_are_lost(model):
    assert rate_warning(8_000, "a.wav", model) is None
    assert rate_warning(48_000, "a.wav", model) is None
    text = rate_warning(4_000, "a.wav", model)
    assert "a.wav: recorded at 4000 Hz, the model expects 8000" in text and "above 2 kHz" in text
    assert "Nesospingus speculiferus" in text and "Megascops nudipes" not in text
