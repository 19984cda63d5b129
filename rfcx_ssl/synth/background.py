"""Everything in a recording that is not a call of the 24 species, built as one spectrum (linear, before the recorder).

Slow or narrow sounds are made at a low rate and moved to their place in the spectrum, which costs a fraction of
synthesising them at 48 kHz.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, rfft

from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Note, Samples, render
from rfcx_ssl.synth.settings import SynthSettings
from rfcx_ssl.synth.sites import Site, acoustics, hump

Spectrum = NDArray[np.complex64]
_BAND_RATE = 16  # narrow bands are made at 48000 / 16 = 3000 Hz
_WIND_RATE = 32


def background(
    site: Site, settings: SynthSettings, num_samples: int, night: bool, rng: np.random.Generator
) -> Spectrum:
    """Spectrum (num_samples // 2 + 1,) of noise floor, stream, rain, wind, insects and distant chorus."""
    room = acoustics(site, num_samples, settings.reverb)
    amplitude = room.floor
    impulses = None
    if rng.random() < settings.rain:
        hiss, impulses = _rain(room.frequencies_hz, num_samples, rng)
        amplitude = amplitude + hiss
    spectrum = _white(len(amplitude), rng)
    spectrum *= amplitude * np.float32(np.sqrt(num_samples / 2))
    if impulses is not None:
        spectrum += rfft(impulses) * hump(room.frequencies_hz, 3500.0, 1.3)
    if rng.random() < settings.wind:
        _add_wind(spectrum, num_samples, rng)
    level = noise_level(site, settings, num_samples)
    _add_insects(spectrum, site, settings, num_samples, night, level, rng)
    if night and rng.random() < settings.chorus:
        _add_chorus(spectrum, num_samples, level, rng)
    return spectrum


def noise_level(site: Site, settings: SynthSettings, num_samples: int) -> float:
    """Root mean square of a site's noise floor, to which the other animals are set in proportion."""
    return float(np.sqrt(np.mean(np.square(acoustics(site, num_samples, settings.reverb).floor))))


def band_power(cumulative: NDArray[np.float64], f_min_hz: float, f_max_hz: float, num_samples: int) -> float:
    """Mean power of a signal between two frequencies, from the running sum of its squared spectrum."""
    bin_hz = SAMPLE_RATE_HZ / num_samples
    low, high = int(f_min_hz / bin_hz), min(int(f_max_hz / bin_hz), len(cumulative) - 1)
    return float(2 * (cumulative[high] - cumulative[low]) / num_samples**2)


def _white(bins: int, rng: np.random.Generator) -> Spectrum:
    """Unit-variance complex Gaussian spectrum."""
    return rng.standard_normal(2 * bins, dtype=np.float32).view(np.complex64)


def _rain(
    frequencies_hz: NDArray[np.float32], num_samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Samples]:
    """Amplitude of the steady hiss of distant rain, and the impulses (num_samples,) of drops nearby."""
    strength = rng.uniform(0.2, 1.0)
    drops = int(rng.uniform(20, 250) * strength * num_samples / SAMPLE_RATE_HZ)
    impulses = np.zeros(num_samples, np.float32)
    impulses[rng.integers(0, num_samples, drops)] += rng.standard_normal(drops, dtype=np.float32) * 10
    return hump(frequencies_hz, rng.uniform(2500, 6000), 1.5) * np.float32(strength), impulses


def _add_wind(spectrum: Spectrum, num_samples: int, rng: np.random.Generator) -> None:
    """Add gusts: noise below 750 Hz, falling 6 dB per octave, that swells over seconds."""
    num = num_samples // _WIND_RATE
    seconds = int(num_samples / SAMPLE_RATE_HZ) + 2
    gusts = np.interp(np.linspace(0, seconds - 1, num), np.arange(seconds), rng.random(seconds) ** 2)
    noise = rfft((rng.standard_normal(num) * gusts).astype(np.float32))
    slope = 60.0 / (np.arange(len(noise)) * (SAMPLE_RATE_HZ / num_samples) + 60.0)
    spectrum[: len(noise)] += (np.sqrt(_WIND_RATE) * np.exp(rng.uniform(2.0, 4.0)) * slope * noise).astype(
        np.complex64
    )


def _add_band(spectrum: Spectrum, baseband: NDArray[np.complex64], carrier_hz: float, num_samples: int) -> None:
    """Move a complex signal at 3000 Hz to ``carrier_hz`` and add it."""
    shifted = np.fft.fftshift(fft(baseband)) * np.float32(_BAND_RATE / 2)
    start = round(carrier_hz * num_samples / SAMPLE_RATE_HZ) - len(shifted) // 2
    low = max(start, 0)
    high = min(start + len(shifted), len(spectrum))
    spectrum[low:high] += shifted[low - start : high - start].astype(np.complex64)


def _add_insects(
    spectrum: Spectrum,
    site: Site,
    settings: SynthSettings,
    num_samples: int,
    night: bool,
    level: float,
    rng: np.random.Generator,
) -> None:
    """Add the site's insects: pulsed narrow bands that start and stop, more of them at night."""
    num = num_samples // _BAND_RATE
    time = np.arange(num, dtype=np.float32) * np.float32(_BAND_RATE / SAMPLE_RATE_HZ)
    for _ in range(min(int(rng.poisson(settings.insects * (1.3 if night else 0.7))), 8)):
        kind = int(rng.integers(len(site.insects_hz)))
        rate = np.float32(site.insect_rates_hz[kind] * rng.uniform(0.95, 1.05))
        pulses = np.clip(np.sin(2 * np.pi * rate * time) + np.float32(rng.uniform(-0.6, 0.8)), 0, None)
        start, length = rng.uniform(-0.3, 0.8) * time[-1], rng.uniform(0.2, 1.3) * time[-1]
        bout = np.clip(4 * np.minimum(time - start, start + length - time), 0, 1)
        width = rng.uniform(0.0, 0.15)  # 0: a pure carrier; above: a noisy one
        jitter = np.interp(time, np.linspace(0, time[-1], num // 30), rng.normal(0, width, num // 30).cumsum())
        gain = level * 10 ** (rng.uniform(-20, 0) / 20)
        carrier_hz = site.insects_hz[kind] * rng.uniform(0.99, 1.01)
        _add_band(spectrum, (gain * pulses * bout * np.exp(1j * jitter)).astype(np.complex64), carrier_hz, num_samples)


def _add_chorus(spectrum: Spectrum, num_samples: int, level: float, rng: np.random.Generator) -> None:
    """Add a chorus too far away to tell its callers apart: bands of noise around frog pitches that swell slowly."""
    num = num_samples // _BAND_RATE
    for _ in range(int(rng.integers(1, 4))):
        width_hz, swell_hz = rng.uniform(60, 350), rng.uniform(0.3, 2.5)
        band = rfft(rng.standard_normal(num, dtype=np.float32))
        keep = np.exp(-0.5 * (np.arange(len(band)) * (SAMPLE_RATE_HZ / num_samples) / width_hz) ** 2)
        shape = np.fft.irfft(band * keep, num) + 1j * np.fft.irfft(np.roll(band, 7) * keep, num)
        time = np.arange(num) * (_BAND_RATE / SAMPLE_RATE_HZ)
        swell = 1 + 0.7 * np.sin(2 * np.pi * swell_hz * time + rng.uniform(0, 6))
        shape *= swell * (level * 10 ** (rng.uniform(-22, -6) / 20) / np.sqrt(np.mean(np.abs(shape) ** 2)))
        _add_band(spectrum, shape.astype(np.complex64), float(rng.uniform(900, 5000)), num_samples)


def add_distractors(samples: Samples, settings: SynthSettings, level: float, rng: np.random.Generator) -> None:
    """Add calls of animals outside the 24 species to (N,) samples: random notes in random bands, a few in a row."""
    for _ in range(int(rng.poisson(settings.distractors * len(samples) / (20 * SAMPLE_RATE_HZ)))):
        low = float(np.exp(rng.uniform(np.log(300.0), np.log(9000.0))))
        length = float(rng.uniform(0.03, 0.5))
        rough = float(rng.choice((0.0, 0.0, 0.08)))
        note = Note(0.0, length, tuple(rng.uniform(0, 1, 3)), harmonics=(1.0, float(rng.uniform(0, 0.6))), rough=rough)
        repeats, period = int(rng.integers(1, 6)), length * float(rng.uniform(1.1, 3.0))
        notes = [replace(note, start_s=k * period) for k in range(repeats)]
        call = render(notes, low, low * float(rng.uniform(1.3, 2.5)), 0.0, rng).samples
        start = int(rng.integers(0, len(samples) - len(call)))
        samples[start : start + len(call)] += np.float32(level * 10 ** (rng.uniform(-18, 4) / 20)) * call
