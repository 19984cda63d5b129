"""One recording: who is there, when and how loudly each calls, and the sound of it all."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft, rfft

from rfcx_ssl.synth.background import add_distractors, background, band_power, noise_level
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Call, Samples
from rfcx_ssl.synth.repertoire import SongType, draw_voice
from rfcx_ssl.synth.settings import SynthSettings
from rfcx_ssl.synth.sites import Site, acoustics


@dataclass(frozen=True, slots=True)
class TrueCall:
    """A call that is really in a recording; ``snr_db`` as :func:`hearing_band` hears it."""

    song: SongType
    t_min: float
    t_max: float
    f_min: float
    f_max: float
    snr_db: float


@dataclass(frozen=True, slots=True)
class Scene:
    """The samples (N,) in [-1, 1] at 48 kHz and every call in them, in order of time."""

    samples: Samples
    calls: tuple[TrueCall, ...]


def compose(
    site: Site,
    settings: SynthSettings,
    songs: Sequence[SongType],
    clear: SongType | None,
    night: bool,
    rng: np.random.Generator,
) -> Scene:
    """Compose and render one recording in which ``songs`` are heard, ``clear`` among them loud enough to confirm."""
    num_samples = round(settings.duration_s * SAMPLE_RATE_HZ)
    spectrum = background(site, settings, num_samples, night, rng)
    cumulative = np.cumsum(np.square(spectrum.real) + np.square(spectrum.imag), dtype=np.float64)
    direct, echoed = np.zeros(num_samples, np.float32), np.zeros(num_samples, np.float32)
    calls: list[TrueCall] = []
    for song in songs:
        individuals = 1 + int(rng.random() < settings.second_individual)
        for number in range(individuals):
            least_db = settings.tp_min_snr_db if song is clear and number == 0 else settings.snr_min_db
            calls += _let_sing(song, settings, least_db, cumulative, direct, echoed, rng)
    add_distractors(direct, settings, noise_level(site, settings, num_samples), rng)
    room = acoustics(site, num_samples, settings.reverb)
    spectrum += rfft(direct)
    spectrum += rfft(echoed) * room.echo
    samples = irfft(spectrum * room.response, num_samples)
    return Scene(_level(samples, site.gain_db), tuple(sorted(calls, key=lambda call: (call.t_min, call.f_min))))


def hearing_band(call: Call, song: SongType) -> tuple[float, float]:
    """Band (Hz) in which a call competes with noise: its own, widened to half of its species' band."""
    missing_hz = max(0.5 * (song.f_max_hz - song.f_min_hz) - (call.f_max_hz - call.f_min_hz), 0.0)
    low_hz = max(call.f_min_hz - 0.5 * missing_hz, song.f_min_hz)
    high_hz = min(max(call.f_max_hz, low_hz + call.f_max_hz - call.f_min_hz + missing_hz), song.f_max_hz)
    return low_hz, high_hz


def _let_sing(
    song: SongType,
    settings: SynthSettings,
    least_db: float,
    cumulative: NDArray[np.float64],
    direct: Samples,
    echoed: Samples,
    rng: np.random.Generator,
) -> list[TrueCall]:
    """Add the calls of one individual to the two buses and return them; the fainter it is, the more it echoes."""
    voice = draw_voice(song, rng, settings.pitch_variation, settings.tempo_variation)
    top_db = max(settings.snr_max_db, least_db)
    snr_db = rng.uniform(least_db, top_db)
    drift_db = rng.normal(0.0, 2.0)
    distance = np.clip((settings.snr_max_db - snr_db) / max(settings.snr_max_db - settings.snr_min_db, 1.0), 0.1, 0.9)
    wanted = settings.call_rate * song.calls_per_min * settings.duration_s / 60
    fits = max(int(settings.duration_s / (1.25 * song.duration_s)), 1)
    count = min(max(int(rng.poisson(wanted)), 1), fits)
    slot_s = settings.duration_s / count
    calls = []
    for slot in range(count):
        call = voice.sing(rng)
        free_s = max(settings.duration_s - call.duration_s - 0.01, 0.0)
        start_s = min(slot * slot_s + rng.uniform(0.0, max(slot_s - call.duration_s, 0.0)), free_s)
        call_db = snr_db + drift_db * (slot / count - 0.5) + rng.normal(0.0, 1.0) * (slot > 0)
        low_hz, high_hz = hearing_band(call, song)
        noise = band_power(cumulative, low_hz, high_hz, len(direct))
        sound = call.samples * np.float32(np.sqrt(noise) * 10 ** (call_db / 20))
        first = round(start_s * SAMPLE_RATE_HZ)
        direct[first : first + len(sound)] += sound
        echoed[first : first + len(sound)] += np.float32(distance) * sound
        end_s = start_s + call.duration_s
        calls.append(TrueCall(song, start_s, end_s, call.f_min_hz, call.f_max_hz, float(call_db)))
    return calls


def _level(samples: NDArray[np.float32], gain_db: float) -> Samples:
    """Set the recording's level to the site's gain without clipping more than the loudest clicks."""
    rms = np.sqrt(np.mean(np.square(samples)))
    gain = min(0.03 * 10 ** (gain_db / 20) / rms, 0.95 / np.partition(np.abs(samples), -48)[-48])
    clipped: Samples = np.clip(samples * np.float32(gain), -1.0, 1.0)
    return clipped
