"""What must not change a score or a time: rates, blocks, batches, what stands before and behind; and sounds that are none."""

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.detection.hear import FAR_TOO_LOUD, SILENT, listen
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.signal import SILENT_RMS, SilenceCount, sounding_frames
from rfcx_ssl.inference.windows import windows_in_force

RATE_HZ = 8_000
LOW = DetectSettings(threshold=0.05, low_threshold=0.04)


@pytest.fixture(scope="module")
def model(model_dir):
    return load_model(str(model_dir))


def calls(rate_hz, seconds=8.0, *, start_s=0.0):
    """The same sound at any rate: three tones that come and go."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz + start_s
    return sum(0.2 * np.sin(2 * np.pi * f * t) * np.sin(np.pi * f / 900 * t) ** 4 for f in (440, 1300, 2900))


def heard(model, path, samples, rate_hz=RATE_HZ, settings=LOW, **options):
    soundfile.write(path, samples, rate_hz, **{"subtype": "FLOAT", **options})
    return listen(model, path, settings)


@pytest.mark.parametrize("level", [0.0, 0.5, -1.0, 1e-9])
def test_a_constant_holds_no_signal(model, tmp_path, level):
    result = heard(model, tmp_path / "a.wav", np.full(20_001, level))
    assert not result.events and not result.clip.any()
    assert result.silent_s == pytest.approx(20_001 / RATE_HZ) and SILENT in result.warnings


def test_a_constant_at_another_rate_holds_no_signal(model, tmp_path):
    """Resampled, its ends would click."""
    result = heard(model, tmp_path / "a.wav", np.full(44_100, 0.25), 22_050)
    assert not result.events and not result.clip.any() and result.silent_s == 2.0


@pytest.mark.parametrize("samples", [[0.7], [0.7, -0.7], [0.0]])
def test_a_sample_or_two(model, tmp_path, samples):
    result = heard(model, tmp_path / "a.wav", np.array(samples))
    assert result.problem is None and ((result.clip >= 0) & (result.clip <= 1)).all()
    assert result.clip.any() == (len(samples) == 2)


def test_a_square_of_full_scale_is_heard(model, tmp_path):
    result = heard(model, tmp_path / "a.wav", np.sign(np.sin(np.arange(32_000) / 9)))
    assert result.problem is None and result.clip.any() and not result.warnings


@pytest.mark.parametrize("rate_hz", [16_000, 500_000])
def test_the_rate_of_the_file_changes_nothing(model, tmp_path, rate_hz):
    expected = heard(model, tmp_path / "a.wav", calls(RATE_HZ, 4))
    result = heard(model, tmp_path / "b.wav", calls(rate_hz, 4), rate_hz)
    np.testing.assert_allclose(result.clip, expected.clip, atol=0.01)
    assert result.heard_s == expected.heard_s == 4.0


@pytest.mark.parametrize("gain", [1e-4, 1.0, 1e3])
def test_gain_leaves_probabilities_and_says_what_is_odd(model, tmp_path, gain):
    result = heard(model, tmp_path / "a.wav", gain * calls(RATE_HZ))
    assert result.problem is None and ((result.clip > 0) & (result.clip < 1)).all()
    assert (FAR_TOO_LOUD in result.warnings) == (gain == 1e3)
    assert result.silent_s == 0


@pytest.mark.parametrize("samples", [np.full(9000, np.nan), np.full(9000, np.inf), 1e30 * np.ones(9000)])
def test_what_is_no_audio_is_a_problem_of_its_file(model, tmp_path, samples):
    result = heard(model, tmp_path / "a.wav", samples)
    assert result.clip is None and not result.events and str(tmp_path / "a.wav") in result.problem


def test_blocks_and_batches_change_no_score(model, tmp_path):
    samples = np.r_[calls(RATE_HZ), np.zeros(2 * RATE_HZ + 77), calls(RATE_HZ, 3.3)]
    results = [
        heard(
            model,
            tmp_path / "a.wav",
            samples,
            settings=DetectSettings(threshold=0.05, block_s=block_s, batch_size=batch),
        )
        for block_s, batch in ((30.0, 1), (1.0, 3), (7.7, 8))
    ]
    for result in results[1:]:
        np.testing.assert_allclose(result.clip, results[0].clip, atol=1e-5)
        assert result.silent_s == results[0].silent_s > 1.9
        assert [(e.species, e.box.start_s, e.box.end_s) for e in result.events] == [
            (e.species, e.box.start_s, e.box.end_s) for e in results[0].events
        ]


def test_what_stands_before_or_behind_changes_no_frame_out_of_reach(model):
    """Whole steps of the windows in front move the frames; what lies within a window of the seam is another matter."""
    window, step = windows_in_force(model).on_grid(model.grid)
    reach, hop = window // model.grid.hop_samples, model.grid.hop_samples
    sound = torch.from_numpy(calls(RATE_HZ, 40).astype(np.float32))
    first, second = sound[: 8 * step], sound[-8 * step :]
    one, other, both, padded = (
        predict_recording(model, x).frame
        for x in (
            first,
            second,
            torch.cat([first, second]),
            torch.cat([torch.zeros(4 * step), first, torch.zeros(4 * step)]),
        )
    )
    total, moved = 8 * step // hop, 4 * step // hop
    torch.testing.assert_close(both[: total - reach], one[: total - reach], atol=1e-5, rtol=0)
    torch.testing.assert_close(both[total + reach :], other[reach:], atol=1e-5, rtol=0)
    inside = slice(moved + reach, moved + total - reach)
    torch.testing.assert_close(padded[inside], one[reach : total - reach], atol=1e-5, rtol=0)
    assert not padded[:moved].any() and not padded[moved + total :].any()


def test_silence_is_counted_as_a_loop_counts_it():
    rng = np.random.default_rng(0)
    samples = np.concatenate([rng.normal(0, s, n) for s, n in ((0.1, 333), (0, 250), (1e-8, 99), (1e-3, 10), (0, 77))]).astype(np.float32)  # fmt: skip
    hop, silent = 20, 0
    for start in range(0, len(samples), hop):
        frame = samples[start : start + hop].astype(np.float64)
        is_silent = frame.std() < SILENT_RMS
        if len(frame) < hop:
            is_silent = is_silent and samples[start - hop : start].std() < SILENT_RMS
        silent += is_silent * len(frame)
    for block in (7, 64, 1000):
        count = SilenceCount(hop)
        for start in range(0, len(samples), block):
            count.push(torch.from_numpy(samples[start : start + block]))
        assert count.finish() == silent > 300
    assert sounding_frames(torch.tensor([float("nan"), 0.0]), 2).all(), "an error is not silence"
