import numpy as np
import pytest

from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.background import add_distractors, background, band_power, noise_level
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.sites import acoustics, draw_site

NUM_SAMPLES = 10 * SAMPLE_RATE_HZ
QUIET = {"rain": 0.0, "wind": 0.0, "stream": 0.0, "insects": 0.0, "chorus": 0.0, "reverb": 0.0}


def power_of(spectrum, low_hz, high_hz):
    return band_power(np.cumsum(np.square(np.abs(spectrum)), dtype=np.float64), low_hz, high_hz, NUM_SAMPLES)


def make(**changes):
    settings = SynthSettings(**{**QUIET, **changes})
    site = draw_site(settings, "train", 0)
    return background(site, settings, NUM_SAMPLES, True, np.random.default_rng(0)), site, settings


def test_band_power_is_the_power_of_a_tone_in_the_band():
    tone = 0.5 * np.sin(2 * np.pi * 3000 / SAMPLE_RATE_HZ * np.arange(NUM_SAMPLES))
    spectrum = np.fft.rfft(tone)
    assert power_of(spectrum, 2000, 4000) == pytest.approx(0.125, rel=1e-6)
    assert power_of(spectrum, 4000, 6000) == pytest.approx(0.0, abs=1e-9)


def test_the_noise_floor_has_the_level_it_is_said_to_have():
    spectrum, site, settings = make()
    samples = np.fft.irfft(spectrum, NUM_SAMPLES)
    assert samples.std() == pytest.approx(noise_level(site, settings, NUM_SAMPLES), rel=0.02)
    floor = acoustics(site, NUM_SAMPLES, 0.0).floor
    low, high = (int(edge * NUM_SAMPLES / SAMPLE_RATE_HZ) for edge in (2000, 3000))
    expected = np.square(floor[low:high]).mean() / 24  # one of the 24 kHz
    assert power_of(spectrum, 2000, 3000) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(
    ("change", "low_hz", "high_hz"),
    [
        ({"rain": 1.0}, 1500, 8000),
        ({"wind": 1.0}, 20, 700),
        ({"chorus": 1.0}, 500, 6000),
        ({"insects": 8.0}, 2000, 14000),
    ],
)
def test_each_sound_adds_power_where_it_belongs(change, low_hz, high_hz):
    plain, loud = make()[0], make(**change)[0]
    inside = power_of(loud, low_hz, high_hz) / power_of(plain, low_hz, high_hz)
    outside = power_of(loud, 18_000, 23_000) / power_of(plain, 18_000, 23_000)
    assert inside > 1.02
    assert inside > outside


def test_wind_comes_in_gusts():
    samples = np.fft.irfft(make(wind=1.0)[0] - make()[0], NUM_SAMPLES)
    by_second = samples.reshape(10, -1).std(axis=1)
    assert by_second.max() > 2 * by_second.min()


def test_distractors_are_as_many_as_asked():
    silent, noisy = np.zeros(NUM_SAMPLES, np.float32), np.zeros(NUM_SAMPLES, np.float32)
    add_distractors(silent, SynthSettings(distractors=0.0), 1.0, np.random.default_rng(0))
    add_distractors(noisy, SynthSettings(distractors=20.0), 1.0, np.random.default_rng(0))
    assert not silent.any()
    assert np.isfinite(noisy).all() and (np.abs(noisy) > 0.01).mean() > 0.05
