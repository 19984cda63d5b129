"""Who is where: which species each recording holds, decided for the whole forest at once so that the counts come out.

Prevalences are dealt, not drawn: a preset of 24 recordings has the table's test prevalences as closely as 24 allow,
and every species is heard at least once in every split.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.species import rfcx_species
from rfcx_ssl.synth.repertoire import SONG_TYPES
from rfcx_ssl.synth.settings import SynthSettings

SPLITS = ("train", "test")
_OFF_HOURS = 0.5  # a species calls half as often as on average in the half of the day that is not its own
_MOST_SURE = 0.98  # no species is heard in every recording, even in its own half of the day
_OWN_HOURS = 0.75  # share of the recordings kept for a species' call that were made in its own half of the day

NUM_SPECIES = len(rfcx_species())
_PREVALENCE = [prevalence or 0.0 for prevalence in rfcx_species().prevalence]
_SONGS_OF = [
    [number for number, song in enumerate(SONG_TYPES) if song.row.species_id == species]
    for species in range(NUM_SPECIES)
]
_NOCTURNAL = np.array([SONG_TYPES[songs[0]].nocturnal for songs in _SONGS_OF])


@dataclass(frozen=True, slots=True)
class Task:
    """One recording to be made; song types are positions in SONG_TYPES."""

    split: str
    index: int
    site: int
    night: bool
    songs: tuple[int, ...]  # heard in the recording, at most one per species
    confirmed: int | None  # the one that train_tp.csv names
    rejected: tuple[int, ...]  # those that train_fp.csv should name


def plan_forest(settings: SynthSettings) -> list[Task]:
    """Every recording of the forest, training recordings first, site by site."""
    return [*_plan_split(settings, "train"), *_plan_split(settings, "test")]


def activity(species_id: int, own_hours: bool, own_share: float) -> float:
    """Probability that a species is heard in (or out of) its half of the day; over all of it the table's prevalence."""
    prevalence = _PREVALENCE[species_id]
    off = max(_OFF_HOURS * prevalence, (prevalence - _MOST_SURE * own_share) / (1.0 - own_share))
    return (prevalence - (1.0 - own_share) * off) / own_share if own_hours else off


def _plan_split(settings: SynthSettings, split: str) -> Iterator[Task]:
    rng = np.random.default_rng([settings.seed, 0, SPLITS.index(split)])
    train = split == "train"
    count = settings.train_recordings if train else settings.test_recordings
    sites = settings.train_sites if train else settings.test_sites
    confirmed = rng.permutation(_deal(round(settings.tp_fraction * count) if train else 0, count, rng))
    night = _nights(confirmed, settings, rng)
    heard = np.stack([_heard(s, confirmed, night, settings.night, rng) for s in range(NUM_SPECIES)], axis=1)
    num_rejected = rng.integers(settings.fp_min, settings.fp_max + 1, count) if train else np.zeros(count, int)
    rejected = np.split(_deal(int(num_rejected.sum()), int(num_rejected.sum()), rng), np.cumsum(num_rejected)[:-1])
    pick = rng.random((count, NUM_SPECIES))
    for index in range(count):
        forced = int(confirmed[index])
        present = (_SONGS_OF[s][int(pick[index, s] * len(_SONGS_OF[s]))] for s in np.flatnonzero(heard[index]))
        songs = tuple(forced if forced in _SONGS_OF[SONG_TYPES[k].row.species_id] else k for k in present)
        yield Task(
            split=split,
            index=index,
            site=index * sites // count,
            night=bool(night[index]),
            songs=songs,
            confirmed=None if forced < 0 else forced,
            rejected=tuple(rejected[index].tolist()),
        )


def _deal(num: int, length: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """``num`` song types dealt evenly in random order, filled with -1 to ``length``."""
    rounds = [rng.permutation(len(SONG_TYPES)) for _ in range(-(-num // len(SONG_TYPES)))]
    dealt = np.concatenate(rounds)[:num] if rounds else np.zeros(0, np.int64)
    return np.concatenate([dealt, np.full(length - num, -1)])


def _nights(confirmed: NDArray[np.int64], settings: SynthSettings, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which recordings were made by night; those kept for a call mostly in the caller's half of the day."""
    nocturnal = np.array([song.nocturnal for song in SONG_TYPES] + [False])[confirmed]
    share = np.where(confirmed < 0, settings.night, np.where(nocturnal, _OWN_HOURS, 1 - _OWN_HOURS))
    nights: NDArray[np.bool_] = rng.random(len(confirmed)) < share
    return nights


def _heard(
    species: int,
    confirmed: NDArray[np.int64],
    night: NDArray[np.bool_],
    night_share: float,
    rng: np.random.Generator,
) -> NDArray[np.bool_]:
    """Which recordings hold a species: those with a confirmed call, and others until its prevalence is met."""
    heard: NDArray[np.bool_] = np.isin(confirmed, _SONGS_OF[species])
    wanted = max(round(_PREVALENCE[species] * len(heard)), 1)
    own_hours = night == _NOCTURNAL[species]
    own_share = night_share if _NOCTURNAL[species] else 1.0 - night_share
    odds = np.where(own_hours, activity(species, True, own_share), activity(species, False, own_share))
    missing = wanted - int(heard.sum())
    if missing > 0:
        free = np.flatnonzero(~heard)
        # exponential race: the first to ring win, likelier ones ring sooner
        ring = rng.standard_exponential(len(free)) / (-np.log1p(-odds[free]))
        heard[free[np.argsort(ring)[:missing]]] = True
    return heard
