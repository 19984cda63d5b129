"""Who sings what: the grammar, calling rate and active hours of each of the 26 RFCX song types."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rfcx_ssl.species import RFCX_CALLS, Species
from rfcx_ssl.synth import birds, frogs
from rfcx_ssl.synth.notes import Call, Note, render, stretch

Grammar = Callable[[np.random.Generator, np.random.Generator], list[Note]]


@dataclass(frozen=True, slots=True)
class SongType:
    """One song type: its row of the RFCX table, its grammar, how often it is sung and whether by night."""

    row: Species
    grammar: Grammar
    calls_per_min: float
    nocturnal: bool


_FROG = _OWL = True  # nocturnal
_BIRD = False
_SONGS: dict[tuple[int, int], tuple[Grammar, float, bool]] = {
    (0, 1): (frogs.cricket_ticks, 16, _FROG),
    (1, 1): (frogs.downward_ticks, 14, _FROG),
    (2, 1): (frogs.chuck_and_whoit, 8, _FROG),
    (3, 1): (frogs.co_qui, 18, _FROG),
    (4, 1): (frogs.bell_roll, 9, _FROG),
    (5, 1): (birds.rising_rattle, 6, _BIRD),
    (6, 1): (birds.harsh_wek, 6, _BIRD),
    (7, 1): (birds.wheezy_jumble, 7, _BIRD),
    (8, 1): (frogs.glide_and_clicks, 6, _FROG),
    (9, 1): (birds.phrases, 6, _BIRD),
    (10, 1): (birds.whistles_and_buzz, 6, _BIRD),
    (11, 1): (birds.three_syllables, 14, _BIRD),
    (12, 1): (frogs.slow_co_qui, 9, _FROG),
    (13, 1): (birds.trilled_hoot, 6, _OWL),
    (14, 1): (frogs.broad_drops, 16, _FROG),
    (15, 1): (birds.pigeon_hoots, 5, _BIRD),
    (16, 4): (frogs.churi, 9, _FROG),
    (17, 1): (birds.slow_phrases, 4, _BIRD),
    (17, 4): (birds.wit_calls, 6, _BIRD),
    (18, 1): (frogs.tinkle, 18, _FROG),
    (19, 1): (birds.cackle, 6, _BIRD),
    (20, 1): (birds.nasal_beeps, 6, _BIRD),
    (21, 1): (frogs.falling_whistles, 12, _FROG),
    (22, 1): (birds.high_chatter, 9, _BIRD),
    (23, 1): (birds.thin_warble, 4, _BIRD),
    (23, 4): (birds.thin_sweeps, 4, _BIRD),
}

SONG_TYPES: tuple[SongType, ...] = tuple(SongType(row, *_SONGS[row.species_id, row.songtype_id]) for row in RFCX_CALLS)


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
        return render(stretch(notes, tempo), self.song.row.f_min_hz, self.song.row.f_max_hz, self.pitch, now)


def draw_voice(
    song: SongType, rng: np.random.Generator, pitch_variation: float = 0.05, tempo_variation: float = 0.08
) -> Voice:
    """A new individual; the variations are standard deviations, cut at two of them."""
    pitch, tempo = np.clip(rng.normal(size=2), -2, 2) * (pitch_variation, tempo_variation)
    return Voice(song, int(rng.integers(2**63)), float(pitch), 1.0 + float(tempo))
