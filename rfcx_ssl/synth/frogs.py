"""Call grammars of the frogs: each turns an individual's traits and the moment into notes.

``own`` draws what an individual keeps (it starts at the same state for each of its calls), ``now`` what changes from
call to call. Pitches are positions in the species' band, times are seconds.
"""

import numpy as np

from rfcx_ssl.synth.notes import Note

Rng = np.random.Generator


def cricket_ticks(own: Rng, now: Rng) -> list[Note]:
    """Species 0: a burst of thin ticks that quicken and climb slightly."""
    num = int(own.integers(9, 15))
    base, climb = own.uniform(0.35, 0.5), own.uniform(0.1, 0.25)
    gaps = np.cumsum(np.linspace(1.3, 0.7, num))
    starts = gaps / gaps[-1] * 0.74
    return [
        Note(float(s), 0.018, (base + climb * k / num, base + climb * k / num - 0.06), 0.6 + 0.4 * k / num)
        for k, s in enumerate(starts + now.normal(0, 0.003, num))
    ]


def downward_ticks(own: Rng, now: Rng) -> list[Note]:
    """Species 1: an even row of hard ticks, each falling through half the band."""
    num = int(own.integers(5, 8))
    top, bottom = own.uniform(0.72, 0.85), own.uniform(0.2, 0.35)
    level = now.uniform(0.8, 1.0, num)
    return [Note(0.87 / num * k, 0.034, (top, bottom), float(level[k]), attack=0.1) for k in range(num)]


def chuck_and_whoit(own: Rng, now: Rng) -> list[Note]:
    """Species 2: low harmonic chucks, each answered by a whistle that shoots up."""
    num = int(own.integers(3, 5))
    period = 1.72 / num
    low, high = own.uniform(0.18, 0.26), own.uniform(0.75, 0.9)
    notes = []
    for k in range(num):
        start = k * period + now.normal(0, 0.008)
        notes.append(Note(start, 0.07, (0.1, 0.06), 0.5, (1.0, 0.7, 0.4), attack=0.1))
        notes.append(Note(start + 0.12, 0.19, (low, low + 0.1, high), 1.0, (1.0, 0.12), attack=0.6))
    return notes


def co_qui(own: Rng, now: Rng) -> list[Note]:
    """Species 3: a flat "co", a pause, and a longer "qui" that glides up."""
    co, qui, glide = own.uniform(0.1, 0.18), own.uniform(0.5, 0.6), own.uniform(0.22, 0.32)
    gap = own.uniform(0.12, 0.2)
    second = 0.12 + gap + now.normal(0, 0.006)
    return [
        Note(0.0, 0.12, (co, co + 0.02), 0.75, attack=0.3),
        Note(second, 0.72 - second, (qui, qui + 0.4 * glide, qui + glide), 1.0, attack=0.5),
    ]


def bell_roll(own: Rng, now: Rng) -> list[Note]:
    """Species 4: a roll of ringing notes on one pitch, quickening and swelling."""
    num = int(own.integers(8, 14))
    pitch = own.uniform(0.4, 0.6)
    gaps = np.cumsum(np.geomspace(1.8, 0.7, num))
    starts = gaps / gaps[-1] * 1.72
    return [
        Note(float(s), 0.1, (pitch + 0.03, pitch), 0.45 + 0.55 * k / num, attack=0.08)
        for k, s in enumerate(starts - starts[0] + now.normal(0, 0.004, num))
    ]


def glide_and_clicks(own: Rng, now: Rng) -> list[Note]:
    """Species 8: one long slow glide up, then clicks that come ever more slowly."""
    num = int(own.integers(7, 12))
    low, high = own.uniform(0.15, 0.3), own.uniform(0.6, 0.8)
    glide = Note(0.0, 1.1, (low, low + 0.1, high), 0.8, attack=0.7, fm_hz=9.0, fm_depth=0.015)
    gaps = np.cumsum(np.geomspace(0.6, 1.7, num))
    starts = 1.3 + gaps / gaps[-1] * 2.7 + now.normal(0, 0.01, num)
    return [glide, *(Note(float(s), 0.05, (high, high - 0.2), 1.0, attack=0.15) for s in starts)]


def slow_co_qui(own: Rng, now: Rng) -> list[Note]:
    """Species 12: the coqui's cousin: three slower pairs, the first note harmonic, the second bending at its end."""
    low, high = own.uniform(0.14, 0.24), own.uniform(0.45, 0.55)
    bend = own.uniform(0.2, 0.3)
    notes = []
    for k in range(3):
        start = k * 1.08 + now.normal(0, 0.02)
        notes.append(Note(start, 0.2, (low, low - 0.02), 0.7, (1.0, 0.35), attack=0.3))
        notes.append(Note(start + 0.34, 0.46, (high, high + 0.8 * bend, high + bend, high + 0.6 * bend), attack=0.4))
    return notes


def broad_drops(own: Rng, now: Rng) -> list[Note]:
    """Species 14: two to four sharp drops through the whole band, the last one drawn out."""
    num = int(own.integers(2, 5))
    top, bottom = own.uniform(0.8, 0.95), own.uniform(0.08, 0.2)
    lengths = [0.05] * (num - 1) + [0.16]
    starts = np.linspace(0.0, 0.42, num) + now.normal(0, 0.004, num)
    return [
        Note(float(s), length, (top, 0.4 * top, bottom), 0.8, (1.0, 0.2), attack=0.15)
        for s, length in zip(starts, lengths, strict=True)
    ]


def churi(own: Rng, now: Rng) -> list[Note]:
    """Species 16: "chu-ri": a short fall and a short rise, twice or three times."""
    num = int(own.integers(2, 4))
    middle, swing = own.uniform(0.4, 0.55), own.uniform(0.25, 0.35)
    notes = []
    for k in range(num):
        start = k * 1.8 / num + now.normal(0, 0.01)
        notes.append(Note(start, 0.14, (middle + swing, middle - swing), 0.8, attack=0.2))
        notes.append(Note(start + 0.2, 0.22, (middle - 0.6 * swing, middle + swing), 1.0, attack=0.7))
    return notes


def tinkle(own: Rng, now: Rng) -> list[Note]:
    """Species 18: a tinkling run of tiny notes that rise in pitch and slow down."""
    num = int(own.integers(9, 16))
    low, high = own.uniform(0.15, 0.3), own.uniform(0.7, 0.85)
    gaps = np.cumsum(np.linspace(0.7, 1.4, num))
    starts = gaps / gaps[-1] * 0.65
    pitches = np.linspace(low, high, num) + now.normal(0, 0.015, num)
    return [Note(float(s), 0.03, (float(p), float(p)), 0.9, attack=0.1) for s, p in zip(starts, pitches, strict=True)]


def falling_whistles(own: Rng, now: Rng) -> list[Note]:
    """Species 21: a few clear whistles stepping down and fading."""
    num = int(own.integers(4, 8))
    high, low = own.uniform(0.75, 0.9), own.uniform(0.12, 0.3)
    pitches = np.linspace(high, low, num) + now.normal(0, 0.02, num)
    period = 1.06 / num
    return [
        Note(k * period, 0.75 * period, (float(p), float(p) - 0.05), 1.0 - 0.5 * k / num, attack=0.3)
        for k, p in enumerate(pitches)
    ]
