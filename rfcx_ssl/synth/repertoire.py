"""Who sings what: the grammar, calling rate and active hours of each of the 26 RFCX song types."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rfcx_ssl.species import Call as Kind
from rfcx_ssl.species import rfcx_species
from rfcx_ssl.synth import birds, frogs
from rfcx_ssl.synth.notes import Call, Note, render, stretch

Grammar = Callable[[np.random.Generator, np.random.Generator], list[Note]]


@dataclass(frozen=True, slots=True)
class SongType:
    """One song type: its row of the RFCX table, its grammar, how often it is sung, whether by night, and how long."""

    row: Kind
    f_min_hz: float
    f_max_hz: float
    grammar: Grammar
    calls_per_min: float
    nocturnal: bool
    duration_s: float  # of a typical call, from RFCX's boxes


_FROG = _OWL = True  # nocturnal
_BIRD = False
_SONGS: dict[tuple[int, int], tuple[Grammar, float, bool, float]] = {
    (0, 1): (frogs.cricket_ticks, 16, _FROG, 0.79),
    (1, 1): (frogs.downward_ticks, 14, _FROG, 0.9),
    (2, 1): (frogs.chuck_and_whoit, 8, _FROG, 1.78),
    (3, 1): (frogs.co_qui, 18, _FROG, 0.74),
    (4, 1): (frogs.bell_roll, 9, _FROG, 1.86),
    (5, 1): (birds.rising_rattle, 6, _BIRD, 2.35),
    (6, 1): (birds.harsh_wek, 6, _BIRD, 2.14),
    (7, 1): (birds.wheezy_jumble, 7, _BIRD, 3.14),
    (8, 1): (frogs.glide_and_clicks, 6, _FROG, 4.12),
    (9, 1): (birds.phrases, 6, _BIRD, 3.56),
    (10, 1): (birds.whistles_and_buzz, 6, _BIRD, 2.44),
    (11, 1): (birds.three_syllables, 14, _BIRD, 1.14),
    (12, 1): (frogs.slow_co_qui, 9, _FROG, 3.14),
    (13, 1): (birds.trilled_hoot, 6, _OWL, 0.62),
    (14, 1): (frogs.broad_drops, 16, _FROG, 0.59),
    (15, 1): (birds.pigeon_hoots, 5, _BIRD, 3.34),
    (16, 4): (frogs.churi, 9, _FROG, 1.83),
    (17, 1): (birds.slow_phrases, 4, _BIRD, 6.45),
    (17, 4): (birds.wit_calls, 6, _BIRD, 2.61),
    (18, 1): (frogs.tinkle, 18, _FROG, 0.69),
    (19, 1): (birds.cackle, 6, _BIRD, 1.55),
    (20, 1): (birds.nasal_beeps, 6, _BIRD, 3.44),
    (21, 1): (frogs.falling_whistles, 12, _FROG, 1.09),
    (22, 1): (birds.high_chatter, 9, _BIRD, 1.61),
    (23, 1): (birds.thin_warble, 4, _BIRD, 6.08),
    (23, 4): (birds.thin_sweeps, 4, _BIRD, 7.92),
}


def _song_type(row: Kind) -> SongType:
    if row.band_hz is None:
        raise ValueError(f"{row.name} has no band to be sung in")
    grammar, calls_per_min, nocturnal, duration_s = _SONGS[row.species_id, row.songtype_id]
    return SongType(row, *row.band_hz, grammar, calls_per_min, nocturnal, duration_s)


SONG_TYPES: tuple[SongType, ...] = tuple(_song_type(row) for row in rfcx_species().calls)


@dataclass(frozen=True, slots=True)
class Voice:
    """One individual: what it keeps from call to call."""

    song: SongType
    traits: int  # seed of the traits its grammar draws
    pitch: float  # shift in band positions
    tempo: float  # 1.1 sings ten per cent longer calls

    def sing(self, now: np.random.Generator) -> Call:
        """One call of this individual; ``now`` decides what differs between its calls."""
        notes = self.song.grammar(np.random.default_rng(self.traits), now)
        tempo = self.tempo * float(np.clip(now.normal(1.0, 0.015), 0.95, 1.05))
        return render(stretch(notes, tempo), self.song.f_min_hz, self.song.f_max_hz, self.pitch, now)


def draw_voice(
    song: SongType, rng: np.random.Generator, pitch_variation: float = 0.05, tempo_variation: float = 0.08
) -> Voice:
    """A new individual; the variations are standard deviations, cut at two of them."""
    pitch, tempo = np.clip(rng.normal(size=2), -2, 2) * (pitch_variation, tempo_variation)
    return Voice(song, int(rng.integers(2**63)), float(pitch), 1.0 + float(tempo))
