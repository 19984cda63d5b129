"""The log-mel front-end against librosa-like references, and where its frames are centered."""

import numpy as np
import pytest
import torch

from rfcx_ssl.models.mel import MelSettings, PowerMel, mel_filters, power_to_db
from rfcx_ssl.models.pcen import Pcen, smoothing_matrix

RATE_HZ = 32_000


def _slaney_mel(hz):
    """Slaney's Auditory Toolbox: linear to 1 kHz, then logarithmic."""
    return np.where(hz < 1000, hz * 3 / 200, 15 + np.log(np.maximum(hz, 1000) / 1000) * 27 / np.log(6.4))


def _slaney_hz(mel):
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def _reference_power(x, n_fft=1024, hop=320, n_mels=64):
    """Centered power mel of one (N,) signal in float64, frame by frame."""
    edges = _slaney_hz(np.linspace(_slaney_mel(np.array(50.0)), _slaney_mel(np.array(14000.0)), n_mels + 2))
    hz = np.arange(n_fft // 2 + 1) * RATE_HZ / n_fft
    up = (hz[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - hz[:, None]) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(up, down)) * 2 / (edges[2:] - edges[:-2])
    padded = np.pad(x.astype("float64"), n_fft // 2, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)
    frames = [padded[j * hop : j * hop + n_fft] * window for j in range(1 + len(x) // hop)]
    return np.abs(np.fft.rfft(frames)) ** 2 @ filters, filters


def test_centered_mel_matches_a_float64_reference():
    x = np.random.default_rng(0).normal(0, 0.1, 12_000).astype("float32")
    settings = MelSettings(alignment="center")
    expected, filters = _reference_power(x)
    np.testing.assert_allclose(mel_filters(settings, RATE_HZ).numpy(), filters, atol=1e-7)
    power = PowerMel(settings, RATE_HZ)(torch.tensor(x)[None], 0)[0].numpy()
    np.testing.assert_allclose(power, expected, rtol=1e-3, atol=1e-7)


FRONT_ENDS = [
    (MelSettings(), 32_000),
    (MelSettings(n_fft=2048, n_mels=128, f_min_hz=0.0, f_max_hz=16_000.0), 32_000),
    (MelSettings(n_fft=512, hop_samples=160, n_mels=40, f_max_hz=8000.0), 16_000),
    (MelSettings(n_fft=600, hop_samples=100, n_mels=30, f_min_hz=1000.0, f_max_hz=24_000.0), 48_000),
    (MelSettings(n_fft=1024, n_mels=8, f_min_hz=200.0, f_max_hz=900.0), 32_000),  # below the knee at 1 kHz
]


@pytest.mark.parametrize(("settings", "rate_hz"), FRONT_ENDS)
def test_filters_are_those_of_torchaudio_and_librosa(settings, rate_hz):
    audio = pytest.importorskip("torchaudio.functional")
    ours = mel_filters(settings, rate_hz)
    bins, scale = settings.n_fft // 2 + 1, {"norm": "slaney", "mel_scale": "slaney"}
    theirs = audio.melscale_fbanks(bins, settings.f_min_hz, settings.f_max_hz, settings.n_mels, rate_hz, **scale)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-7)  # theirs are computed in float32
    filters = pytest.importorskip("librosa.filters")
    band = {"fmin": settings.f_min_hz, "fmax": settings.f_max_hz, "dtype": np.float64}
    exact = filters.mel(sr=rate_hz, n_fft=settings.n_fft, n_mels=settings.n_mels, **band)
    np.testing.assert_allclose(ours.numpy(), exact.T, rtol=1e-5, atol=1e-10)


def test_bands_without_a_bin_are_said(caplog):
    mel_filters(MelSettings(n_fft=256, hop_samples=128, n_mels=64), RATE_HZ)
    assert "mel.n_mels=64" in caplog.text
    caplog.clear()
    mel_filters(MelSettings(), RATE_HZ)
    assert caplog.text == ""


@pytest.mark.parametrize("position", [3200, 6400 + 160, 9000])
def test_frame_alignment_centers_a_click_in_its_own_frame(position):
    x = torch.zeros(1, 32 * 320)
    x[0, position] = 1.0
    energy = PowerMel(MelSettings(), RATE_HZ)(x, 32)[0].sum(dim=1)
    assert energy.shape == (32,)
    assert energy.argmax().item() == position // 320 or position % 320 == 0
    moment = (energy * (torch.arange(32) + 0.5) * 320).sum() / energy.sum()
    assert abs(moment.item() - position) < 5.0  # samples


@pytest.mark.parametrize("num_samples", [1, 319, 320, 321, 9999])
def test_frame_alignment_gives_the_frames_asked_for(num_samples):
    frames = -(-num_samples // 320)
    assert PowerMel(MelSettings(), RATE_HZ)(torch.randn(2, num_samples), frames).shape == (2, frames, 64)


def test_silence_is_minus_100_db():
    power = PowerMel(MelSettings(), RATE_HZ)(torch.zeros(1, 640), 2)
    torch.testing.assert_close(power_to_db(power), torch.full((1, 2, 64), -100.0))


def test_front_end_stays_float32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert PowerMel(MelSettings(), RATE_HZ)(torch.randn(1, 640), 2).dtype == torch.float32


@pytest.mark.parametrize("change", [{"f_min_hz": 9000.0, "f_max_hz": 8000.0}, {"hop_samples": 2048}, {"n_mels": 0}])
def test_rules(change):
    with pytest.raises(ValueError, match="need"):
        MelSettings(**change)


def test_smoothing_is_the_recursion():
    energy = torch.rand(2, 9, 3, dtype=torch.float64)
    expected = [energy[:, 0]]
    for t in range(1, 9):
        expected.append(0.9 * expected[-1] + 0.1 * energy[:, t])
    torch.testing.assert_close(smoothing_matrix(9, 0.1, energy) @ energy, torch.stack(expected, 1))


def test_pcen_matches_a_float64_loop():
    energy = np.random.default_rng(0).random((20, 5)) * 1e-3 * 2**31
    smooth, rows = energy[0], []
    for row in energy:
        smooth = 0.975 * smooth + 0.025 * row
        rows.append((row / (1e-6 + smooth) ** 0.98 + 2) ** 0.5 - 2**0.5)
    actual = Pcen(5).double()(torch.tensor(energy / 2**31)[None])[0].detach().numpy()
    np.testing.assert_allclose(actual, rows, rtol=1e-6)
