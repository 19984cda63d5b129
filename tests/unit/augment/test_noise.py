import numpy as np
import pytest
import torch
from scipy.signal import periodogram
from scipy.stats import kurtosis, skew

from rfcx_ssl.augment.noise import EXPONENTS, ColoredNoiseAugmentation, ColoredNoiseSettings, PinkNoiseSettings
from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import ConfigError

RATE_HZ = 32_000


def noise_of(module: ColoredNoiseAugmentation, batch, draws) -> np.ndarray:
    mixed = module.transform(batch, draws).waveform.double()
    return (mixed - batch.waveform.double()).numpy()


@pytest.mark.parametrize("color", list(EXPONENTS))
def test_slope_is_within_a_tenth_of_theory(color, grid, make_batch) -> None:
    batch = make_batch(size=16, samples=48_000)
    module = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, colors=(color,), snr_min_db=0, snr_max_db=0), grid)
    noise = noise_of(module, batch, module.draw(batch, torch.Generator().manual_seed(1)))
    frequency, density = periodogram(noise, RATE_HZ)
    band = (frequency > 50) & (frequency < 15_000)
    # Octave means weigh all octaves alike; a fit over bins would look at the highest octave only.
    octave = np.floor(np.log2(frequency[band] / 50) * 3)
    levels = [np.log10(density[:, band][:, octave == step].mean()) for step in np.unique(octave)]
    centers = [np.log10(frequency[band][octave == step]).mean() for step in np.unique(octave)]
    slope = np.polyfit(centers, levels, 1)[0]
    assert abs(slope + EXPONENTS[color]) < 0.1


@pytest.mark.parametrize("color", list(EXPONENTS))
def test_samples_are_gaussian_and_crops_and_samples_independent(color, grid, make_batch) -> None:
    batch = make_batch(size=64, samples=32_000)
    module = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, colors=(color,), snr_min_db=0, snr_max_db=0), grid)
    noise = noise_of(module, batch, module.draw(batch, torch.Generator().manual_seed(7)))
    at_start = noise[:, 0] / noise.std(axis=1)  # a bias of the spectrum would be a click here
    assert abs(at_start.mean()) < 4 / np.sqrt(64)
    assert abs(kurtosis(noise, axis=1).mean()) < 0.1 and abs(skew(noise, axis=1).mean()) < 0.1
    between = np.corrcoef(noise[:, ::50])[np.triu_indices(64, 1)]
    assert abs(between.mean()) < 0.02


@pytest.mark.parametrize("samples", [32_000, 32_001])
def test_achieved_ratio_is_the_drawn_one(samples, grid, make_batch) -> None:
    batch = make_batch(size=32, samples=samples)
    batch = batch._replace(waveform=batch.waveform * torch.logspace(-3, 0.5, 32)[:, None])
    module = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, snr_min_db=-5, snr_max_db=40), grid)
    draws = module.draw(batch, torch.Generator().manual_seed(2))
    noise = noise_of(module, batch, draws)
    clean = batch.waveform.double().numpy()
    achieved = 10 * np.log10((clean**2).mean(1) / (noise**2).mean(1))
    np.testing.assert_allclose(achieved, draws["snr_db"].numpy(), atol=0.01)
    assert draws["snr_db"].min() >= -5 and draws["snr_db"].max() <= 40 and draws["snr_db"].std() > 5


def test_matches_a_float64_reference(grid, make_batch) -> None:
    batch = make_batch(size=3, samples=8_000)
    module = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, colors=("brown", "blue"), f_min_hz=100), grid)
    draws = module.draw(batch, torch.Generator().manual_seed(3))
    white = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, colors=("white", "white"), f_min_hz=0), grid)
    unshaped = white.draw(batch, torch.Generator().manual_seed(3))["spectrum"].double().numpy()
    for crop, mixed in enumerate(module.transform(batch, draws).waveform):
        exponent = [2.0, -1.0][draws["color"][crop]]
        frequency = np.fft.rfftfreq(8_000, 1 / RATE_HZ)
        shape = np.where(frequency >= 100, np.maximum(frequency, 1) ** (-exponent / 2), 0.0)
        noise = np.fft.irfft((unshaped[crop, :, 0] + 1j * unshaped[crop, :, 1]) * shape, 8_000)
        clean = batch.waveform[crop].double().numpy()
        scale = np.sqrt((clean**2).mean() / (noise**2).mean()) * 10 ** (-draws["snr_db"][crop].item() / 20)
        np.testing.assert_allclose(mixed.numpy(), clean + scale * noise, atol=2e-6)


def test_only_chosen_crops_change_and_silence_stays_silent(grid, make_batch, changed_crops) -> None:
    batch = make_batch(size=64, samples=6_400)
    batch.waveform[:8] = 0.0
    module = ColoredNoiseAugmentation(PinkNoiseSettings(p=0.5), grid)
    draws = module.draw(batch, torch.Generator().manual_seed(4))
    mixed = module.transform(batch, draws)
    changed = (mixed.waveform != batch.waveform).any(1)
    expected = changed_crops(draws, 64)
    assert torch.equal(changed[8:], expected[8:]) and expected.sum() == 32
    assert not changed[:8].any() and mixed.waveform.isfinite().all()
    assert mixed.target is batch.target and mixed.known is batch.known


def test_no_noise_below_the_lowest_frequency(grid, make_batch) -> None:
    batch = make_batch(size=2, samples=32_000)
    module = ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, colors=("brown",), f_min_hz=200), grid)
    noise = noise_of(module, batch, module.draw(batch, torch.Generator().manual_seed(5)))
    energy = np.abs(np.fft.rfft(noise)) ** 2
    assert energy[:, :199].sum() < 1e-9 * energy.sum()


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"p": 1.5}, "p=1.5"),
        ({"colors": []}, "colors"),
        ({"snr_min_db": 9, "snr_max_db": 3}, "snr_min_db"),
        ({"colors": ["red"]}, "red"),
        ({"f_min_hz": -1}, "f_min_hz"),
        ({"snr": 3}, "unknown key"),
    ],
)
def test_wrong_settings_are_named(values, match) -> None:
    with pytest.raises(ConfigError, match=match):
        check_settings(ColoredNoiseSettings, {"p": 1.0, **values}, "augment.colored_noise")


def test_lowest_frequency_must_lie_in_the_band(grid) -> None:
    with pytest.raises(ValueError, match="f_min_hz=16000"):
        ColoredNoiseAugmentation(ColoredNoiseSettings(p=1.0, f_min_hz=16_000), grid)
