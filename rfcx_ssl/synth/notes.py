"""Notes: the sounds that calls are made of. A call is a list of notes; rendering is plain additive synthesis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 48_000
_EDGE = 0.02  # notes keep this fraction of the band free at both edges

# Polynomial coefficients (constant first) of the curve through n equally spaced points, as a matrix on the points
_CURVE_FIT = {n: np.linalg.inv(np.vander(np.linspace(0.0, 1.0, n), increasing=True)) for n in range(2, 5)}

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Note:
    """One sound of a call. Pitches are positions in the species' band: 0 is its lower edge, 1 its upper edge."""

    start_s: float
    length_s: float
    path: tuple[float, ...]  # fundamental pitch at 2 to 4 equally spaced points of the note, joined by a smooth curve
    level: float = 1.0
    harmonics: tuple[float, ...] = (1.0,)  # amplitudes of f, 2f, 3f, ... in Hz; those above the band are left out
    attack: float = 0.2  # fraction of the note until it is loudest
    am_hz: float = 0.0  # tremolo rate; depth 1 is full silence between the pulses
    am_depth: float = 0.0
    fm_hz: float = 0.0  # vibrato rate and depth (in band positions)
    fm_depth: float = 0.0
    rough: float = 0.0  # random frequency jitter (in band positions): a buzz or a hiss


@dataclass(frozen=True, slots=True)
class Call:
    """A rendered call: samples at 48 kHz, unit active power, and the band (Hz) its notes use."""

    samples: Samples
    f_min_hz: float
    f_max_hz: float

    @property
    def duration_s(self) -> float:
        """Time from the first note's start to the last note's end."""
        return len(self.samples) / SAMPLE_RATE_HZ


def stretch(notes: Sequence[Note], factor: float) -> list[Note]:
    """The same notes ``factor`` times as long (pitch, tremolo and vibrato rates unchanged)."""
    return [replace(note, start_s=note.start_s * factor, length_s=note.length_s * factor) for note in notes]


def render(notes: Sequence[Note], f_low_hz: float, f_high_hz: float, pitch: float, rng: np.random.Generator) -> Call:
    """Sing ``notes`` in the band, moved by ``pitch`` band positions, as samples of unit active power."""
    first = min(note.start_s for note in notes)
    last = max(note.start_s + note.length_s for note in notes)
    samples = np.zeros(round((last - first) * SAMPLE_RATE_HZ) + 1, np.float32)
    lowest, highest = f_high_hz, f_low_hz
    for note in notes:
        sound, low, high = _render_note(note, f_low_hz, f_high_hz, pitch, rng)
        start = min(round((note.start_s - first) * SAMPLE_RATE_HZ), len(samples) - len(sound))
        samples[start : start + len(sound)] += sound
        lowest, highest = min(lowest, low), max(highest, high)
    return Call(samples / np.sqrt(active_power(samples)), lowest, highest)


def active_power(samples: Samples, block: int = 240) -> float:
    """Mean square over the 5 ms blocks within 15 dB of the loudest one: pauses between notes do not count."""
    whole = samples[: len(samples) // block * block].reshape(-1, block)
    power = np.square(whole, dtype=np.float32).mean(axis=1)
    return float(power[power > power.max() * 10**-1.5].mean())


def _render_note(
    note: Note, f_low_hz: float, f_high_hz: float, pitch: float, rng: np.random.Generator
) -> tuple[Samples, float, float]:
    """Samples of one note and the lowest and highest frequency it uses."""
    num = max(round(note.length_s * SAMPLE_RATE_HZ), 240)
    frequency = _frequency(note, num, pitch, rng)
    frequency *= f_high_hz - f_low_hz
    frequency += f_low_hz
    lowest, highest = float(frequency.min()), float(frequency.max())
    phase = np.cumsum(frequency)
    phase *= 2 * np.pi / SAMPLE_RATE_HZ
    angle = np.remainder(phase, 2 * np.pi).astype(np.float32)
    tone = np.float32(note.harmonics[0]) * np.sin(angle)
    top_hz, fundamental_hz = f_high_hz - _EDGE * (f_high_hz - f_low_hz), highest
    for order, amplitude in enumerate(note.harmonics[1:], start=2):
        if amplitude and order * fundamental_hz <= top_hz:
            tone += np.float32(amplitude) * np.sin(np.float32(order) * angle)
            highest = order * fundamental_hz
    return tone * _envelope(note, num), lowest, highest


def _frequency(note: Note, num: int, pitch: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Fundamental pitch (num,) in band positions: the path, vibrato and roughness, kept inside the band."""
    index = np.arange(num, dtype=np.float64)
    coefficients = _CURVE_FIT[len(note.path)] @ (np.asarray(note.path) + pitch)
    time = index / num
    position = np.full(num, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        position *= time
        position += coefficient
    if note.fm_depth:
        position += note.fm_depth * np.sin(2 * np.pi * note.fm_hz / SAMPLE_RATE_HZ * index + rng.uniform(0, 6))
    if note.rough:
        knots = rng.normal(0.0, note.rough, num // 48 + 2)  # a new pitch every millisecond
        position += np.interp(index / 48, np.arange(len(knots)), knots)
    return np.clip(position, _EDGE, 1 - _EDGE, out=position)


def _envelope(note: Note, num: int) -> Samples:
    """Sine-squared rise to ``note.attack`` and fall after it, with tremolo, at ``note.level``."""
    time = np.arange(num, dtype=np.float32) / np.float32(num)
    attack = np.float32(note.attack)
    envelope = np.square(np.sin(np.float32(0.5 * np.pi) * np.minimum(time / attack, (1 - time) / (1 - attack))))
    if note.am_depth:
        beat = np.cos(np.float32(2 * np.pi * note.am_hz / SAMPLE_RATE_HZ) * np.arange(num, dtype=np.float32))
        envelope *= 1 - np.float32(note.am_depth) * (0.5 + 0.5 * beat)
    shaped: Samples = envelope * np.float32(note.level)
    return shaped
