"""Call grammars of the birds; ``own`` and ``now`` as in frogs.py."""

import numpy as np

from rfcx_ssl.synth.notes import Note

Rng = np.random.Generator


def rising_rattle(own: Rng, now: Rng) -> list[Note]:
    """Species 5: a fast rattle that climbs through the band and ends in two low buzzes."""
    num = int(own.integers(16, 24))
    low, high = own.uniform(0.1, 0.25), own.uniform(0.75, 0.92)
    run = 1.75 / num
    notes = [
        Note(k * run, 0.7 * run, (p + 0.06, p - 0.06), 0.4 + 0.6 * k / num)
        for k, p in enumerate(np.linspace(low, high, num) + now.normal(0, 0.01, num))
    ]
    return notes + [Note(s, 0.22, (0.25, 0.15), 0.8, rough=0.05) for s in (1.8, 2.1)]


def harsh_wek(own: Rng, now: Rng) -> list[Note]:
    """Species 6: a row of harsh nasal notes with a full stack of harmonics."""
    num = int(own.integers(6, 10))
    base = own.uniform(0.05, 0.12)
    stack = (0.6, 1.0, 0.8, 0.7, 0.4, 0.3)
    period = 2.1 / num
    return [
        Note(
            k * period, 0.6 * period, (base, base + 0.06, base - 0.01), float(now.uniform(0.7, 1.0)), stack, rough=0.01
        )
        for k in range(num)
    ]


def wheezy_jumble(own: Rng, now: Rng) -> list[Note]:
    """Species 7: sharp ticks, then a wheezing jumble of buzzes and squeaks in the individual's own order."""
    num = int(own.integers(10, 15))
    kinds = own.integers(0, 3, num)
    pitches = own.uniform(0.15, 0.85, num)
    notes = [Note(0.16 * k, 0.03, (0.75, 0.35), 0.7, attack=0.1) for k in range(4)]
    period = 2.4 / num
    for k in range(num):
        start, pitch = 0.7 + k * period, float(pitches[k] + now.normal(0, 0.01))
        if kinds[k] == 0:
            notes.append(Note(start, 0.85 * period, (pitch, pitch), 1.0, rough=0.1))
        elif kinds[k] == 1:
            notes.append(Note(start, 0.8 * period, (pitch, pitch), 0.8, fm_hz=70.0, fm_depth=0.1))
        else:
            notes.append(Note(start, 0.6 * period, (pitch - 0.2, pitch + 0.2), 0.7))
    return notes


def phrases(own: Rng, now: Rng) -> list[Note]:
    """Species 9: three to five phrases of one to three syllables, each phrase from the individual's repertoire."""
    num = int(own.integers(3, 6))
    shapes = own.uniform(0.08, 0.55, (num, 3, 3))
    sizes = own.integers(1, 4, num)
    order = now.permutation(num)
    notes = []
    for slot, phrase in enumerate(order):
        start, room = slot * 3.5 / num, 2.6 / num
        for k in range(sizes[phrase]):
            path = tuple(float(p) for p in shapes[phrase, k])
            notes.append(
                Note(start + k * room / sizes[phrase], 0.85 * room / sizes[phrase], path, 1.0, (1.0, 0.3, 0.1))
            )
    return notes


def whistles_and_buzz(own: Rng, now: Rng) -> list[Note]:
    """Species 10: rising whistles, all alike, closed by one broad buzz."""
    num = int(own.integers(4, 9))
    low, high = own.uniform(0.15, 0.22), own.uniform(0.4, 0.5)
    period = 1.7 / num
    notes = [
        Note(k * period + now.normal(0, 0.006), 0.7 * period, (low, high), 0.5 + 0.5 * k / num, (1.0, 0.25))
        for k in range(num)
    ]
    return [*notes, Note(1.78, 0.64, (0.55, 0.5), 1.0, rough=0.14, am_hz=45.0, am_depth=0.6)]


def three_syllables(own: Rng, now: Rng) -> list[Note]:
    """Species 11: "ju-li-an": up, down, up, in three clear whistles with a faint octave."""
    a, b, c = own.uniform(0.1, 0.3), own.uniform(0.5, 0.75), own.uniform(0.3, 0.5)
    step = 0.01 * now.normal(size=3)
    return [
        Note(0.0, 0.26, (a, b), 0.8, (1.0, 0.2)),
        Note(0.38 + step[0], 0.24, (b, a + 0.05), 0.9, (1.0, 0.2)),
        Note(0.72 + step[1], 0.38, (c, b + 0.1, c - 0.05 + step[2]), 1.0, (1.0, 0.2)),
    ]


def trilled_hoot(own: Rng, now: Rng) -> list[Note]:
    """Species 13: one low toad-like hoot, pulsed some thirty times a second."""
    pitch, rate = own.uniform(0.25, 0.4), own.uniform(26.0, 36.0)
    rise = 0.06 + now.normal(0, 0.01)
    return [Note(0.0, 0.62, (pitch, pitch + rise, pitch), 1.0, (1.0, 0.35), 0.4, am_hz=rate, am_depth=0.9)]


def pigeon_hoots(own: Rng, now: Rng) -> list[Note]:
    """Species 15: a drawn-out hoot, then short-short-long, once or twice; soft and nearly pure."""
    pitch = own.uniform(0.18, 0.34)
    drop = own.uniform(0.03, 0.07)
    pattern = ((0.0, 0.7), (1.0, 0.24), (1.36, 0.24), (1.76, 0.55), (2.5, 0.24), (2.84, 0.46))
    return [
        Note(start + now.normal(0, 0.01), length, (pitch - drop, pitch, pitch - drop), 0.9, (1.0, 0.15), attack=0.4)
        for start, length in pattern
    ]


def slow_phrases(own: Rng, now: Rng) -> list[Note]:
    """Species 17, song type 1: slow musical pairs of whistles, each pair sung twice."""
    pairs = int(own.integers(3, 5))
    starts = own.uniform(0.15, 0.8, (pairs, 2))
    ends = np.clip(starts + own.uniform(-0.3, 0.3, (pairs, 2)), 0.05, 0.95)
    notes = []
    for pair in range(pairs):
        for repeat in range(2):
            base = (2 * pair + repeat) * 6.4 / (2 * pairs) + now.normal(0, 0.015)
            for k in range(2):
                path = (float(starts[pair, k]), float(ends[pair, k]))
                notes.append(Note(base + 0.32 * k, 0.26, path, 0.9, fm_hz=18.0, fm_depth=0.02))
    return notes


def wit_calls(own: Rng, now: Rng) -> list[Note]:
    """Species 17, song type 4: a row of loud upward "wit" calls with one overtone."""
    num = int(own.integers(5, 9))
    low, high = own.uniform(0.08, 0.15), own.uniform(0.3, 0.42)
    period = 2.55 / num
    return [
        Note(
            k * period + now.normal(0, 0.012), 0.11, (low, high), float(now.uniform(0.8, 1.0)), (1.0, 0.6), attack=0.7
        )
        for k in range(num)
    ]


def cackle(own: Rng, now: Rng) -> list[Note]:
    """Species 19: a low throaty cackle, hoarse and quickening."""
    num = int(own.integers(8, 13))
    pitch = own.uniform(0.1, 0.2)
    gaps = np.cumsum(np.geomspace(1.5, 0.8, num))
    starts = gaps / gaps[-1] * 1.42
    return [
        Note(float(s - starts[0]), 0.1, (pitch + 0.05, pitch - 0.03), 0.9, (0.8, 1.0, 0.6, 0.4), 0.15, rough=0.03)
        for s in starts + now.normal(0, 0.005, num)
    ]


def nasal_beeps(own: Rng, now: Rng) -> list[Note]:
    """Species 20: nasal, buzzing "beep"s of steady pitch: a fast tremolo makes side tones."""
    num = int(own.integers(3, 6))
    pitch, rate = own.uniform(0.35, 0.5), own.uniform(110.0, 160.0)
    period = 3.4 / num
    return [
        Note(k * period + now.normal(0, 0.02), 0.5 * period, (pitch, pitch + 0.04), 1.0, am_hz=rate, am_depth=1.0)
        for k in range(num)
    ]


def high_chatter(own: Rng, now: Rng) -> list[Note]:
    """Species 22: very high saw-toothed chatter, bunched in bursts."""
    bursts = int(own.integers(3, 6))
    span = own.uniform(0.4, 0.7)
    notes = []
    for burst in range(bursts):
        for k in range(int(now.integers(3, 6))):
            start = burst * 1.58 / bursts + 0.048 * k
            notes.append(Note(start, 0.042, (0.15, 0.15 + span), float(now.uniform(0.6, 1.0)), attack=0.6))
    return notes


def thin_warble(own: Rng, now: Rng) -> list[Note]:
    """Species 23, song type 1: thin notes that hop between two pitches, with a slow vibrato."""
    num = int(own.integers(12, 18))
    low, high = own.uniform(0.15, 0.35), own.uniform(0.6, 0.85)
    period = 6.05 / num
    return [
        Note(k * period, 0.65 * period, (p, p + 0.05), float(now.uniform(0.7, 1.0)), fm_hz=12.0, fm_depth=0.03)
        for k, p in enumerate(np.where(np.arange(num) % 2, high, low) + now.normal(0, 0.02, num))
    ]


def thin_sweeps(own: Rng, now: Rng) -> list[Note]:
    """Species 23, song type 4: a few long thin whistles that sink slowly, far apart."""
    num = int(own.integers(4, 7))
    high, fall = own.uniform(0.7, 0.9), own.uniform(0.3, 0.5)
    period = 7.9 / num
    return [
        Note(k * period + now.normal(0, 0.03), 0.62 * period, (high, high - 0.3 * fall, high - fall), 0.9, attack=0.3)
        for k in range(num)
    ]
