"""Recording sites: what stays the same at one place - the recorder, the noise floor, the echo, the insects."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.settings import SynthSettings

_KNOTS_HZ = np.array([0.0, 100, 300, 700, 1500, 3000, 5000, 7000, 9000, 11500, 14000, 18000, 24000])


@dataclass(frozen=True)
class Site:
    """One recording site."""

    name: str
    response_db: tuple[float, ...]  # recorder and casing, at _KNOTS_HZ
    floor_db_per_octave: float  # slope of the ambient noise
    floor_bumps_db: tuple[float, ...]  # what the ambient noise adds at _KNOTS_HZ
    insects_hz: tuple[float, ...]  # carriers of the resident insects
    insect_rates_hz: tuple[float, ...]  # their pulse rates
    stream_db: float | None  # level of a stream, where there is one
    echo_delays_s: tuple[float, ...]
    decay_s: float  # time for the reverberation to fall by 60 dB
    echo_seed: int
    gain_db: float


@dataclass(frozen=True)
class Acoustics:
    """What a site does to a recording of N samples, on the F = N // 2 + 1 frequency bins."""

    frequencies_hz: NDArray[np.float32]
    response: NDArray[np.float32]  # amplitude response of the recorder
    floor: NDArray[np.float32]  # amplitude of the ambient noise, stream included
    echo: NDArray[np.complex64]  # what follows the direct sound of a distant caller


@functools.lru_cache(maxsize=2)
def acoustics(site: Site, num_samples: int, reverb: float) -> Acoustics:
    """Spectra of a site; the last two sites are kept, as recordings are made site by site."""
    frequencies = np.arange(num_samples // 2 + 1, dtype=np.float32) * np.float32(SAMPLE_RATE_HZ / num_samples)
    octaves = np.log2(np.maximum(_KNOTS_HZ, 100.0) / 1000.0)
    floor = _amplitude(frequencies, site.floor_db_per_octave * octaves + np.asarray(site.floor_bumps_db))
    if site.stream_db is not None:
        floor += hump(frequencies, 1200.0, 1.1) * np.float32(10 ** (site.stream_db / 20))
    return Acoustics(
        frequencies, _amplitude(frequencies, np.asarray(site.response_db)), floor, _echo(site, num_samples, reverb)
    )


def hump(frequencies_hz: NDArray[np.float32], center_hz: float, octaves: float) -> NDArray[np.float32]:
    """Amplitude that peaks at ``center_hz`` and falls off over ``octaves``, (F,) -> (F,)."""
    distance = np.log2(np.maximum(frequencies_hz, np.float32(20.0)) / np.float32(center_hz))
    bell: NDArray[np.float32] = np.exp(-0.5 * np.square(distance / np.float32(octaves)))
    return bell


def _echo(site: Site, num_samples: int, reverb: float) -> NDArray[np.complex64]:
    """Spectrum of hillside echoes and a diffuse tail, energy ``reverb`` squared, the same for all its recordings."""
    rng = np.random.default_rng(site.echo_seed)
    tail = round(min(2 * site.decay_s, 1.5) * SAMPLE_RATE_HZ)
    time = np.arange(tail, dtype=np.float32) / SAMPLE_RATE_HZ
    diffuse = rng.standard_normal(tail, dtype=np.float32) * np.exp(-6.9 * time / np.float32(site.decay_s))
    diffuse[1:] = 0.5 * (diffuse[1:] + diffuse[:-1])  # leaves take the highest frequencies first
    impulse = np.zeros(num_samples, np.float32)
    impulse[:tail] = diffuse / np.sqrt(np.square(diffuse).sum())
    for delay_s in site.echo_delays_s:
        impulse[round(delay_s * SAMPLE_RATE_HZ)] += np.exp(-4 * delay_s)
    spectrum: NDArray[np.complex64] = rfft(impulse * np.float32(reverb / np.sqrt(np.square(impulse).sum())))
    return spectrum


def draw_site(settings: SynthSettings, split: str, number: int) -> Site:
    """The ``number``-th site of a split; training and test sites never coincide."""
    rng = np.random.default_rng([settings.seed, 1, split == "test", number])
    spread = settings.site_response_db
    response = rng.normal(0.0, 0.5 * spread, len(_KNOTS_HZ)) + spread / 12 * rng.normal() * np.arange(len(_KNOTS_HZ))
    response[0] -= 20.0
    response[-1] -= rng.uniform(3.0, 15.0)
    count = int(rng.integers(2, 6))
    stream_db = float(rng.uniform(-6.0, 6.0))
    return Site(
        name=f"{split}_{number:02d}",
        response_db=tuple(response.tolist()),
        floor_db_per_octave=float(rng.uniform(-6.0, -2.5)),
        floor_bumps_db=tuple(rng.normal(0.0, 3.0, len(_KNOTS_HZ)).tolist()),
        insects_hz=tuple(rng.uniform(2500.0, 13000.0, count).tolist()),
        insect_rates_hz=tuple(rng.uniform(3.0, 90.0, count).tolist()),
        stream_db=stream_db if rng.random() < settings.stream else None,
        echo_delays_s=tuple(rng.uniform(0.05, 0.4, int(rng.integers(0, 3))).tolist()),
        decay_s=float(rng.uniform(0.15, 0.9)),
        echo_seed=int(rng.integers(2**63)),
        gain_db=float(rng.uniform(-8.0, 4.0)),
    )


def _amplitude(frequencies_hz: NDArray[np.float32], knots_db: NDArray[np.float64]) -> NDArray[np.float32]:
    """Decibels at the knots as an amplitude for every frequency; interpolated once per 100 Hz for speed."""
    grid = np.arange(0.0, _KNOTS_HZ[-1] + 100.0, 100.0)
    coarse = 10 ** (np.interp(grid, _KNOTS_HZ, knots_db) / 20)
    return np.interp(frequencies_hz, grid, coarse).astype(np.float32)
