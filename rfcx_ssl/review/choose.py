"""Which questions to ask: per species the surest, the least sure, random and unlike stretches, balanced over places.

Species take turns, the one with the fewest questions (earlier rounds counted) first. Its next question is, of the
:data:`NEAR` stretches that its strategy ranks first, the one from the site, hour and recording asked about least.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.review.hear import FloatArray, Part, Pool
from rfcx_ssl.review.places import Places
from rfcx_ssl.review.settings import ReviewSettings

NEAR = 10  # stretches of about equal rank, among which the place decides
LIKELY = 32  # highest-scored stretches of a species, among which `diverse` looks for unlike ones
_EDGE = 1e-6  # keeps the logits of 0 and 1 finite

Embed = Callable[[Sequence[Part]], FloatArray]


class Asked(NamedTuple):
    """What an earlier round, or a label table, already answers."""

    recording: str
    species_id: int
    start_s: float
    end_s: float


class Question(NamedTuple):
    """Is this species here? ``recording`` is the recording's place in the pool, ``why`` the strategy that asks."""

    recording: int
    species_id: int
    start_s: float
    end_s: float
    score: float
    why: str


def apportion(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """``total`` in whole parts by shares (largest remainder; of equal ones the first)."""
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    parts = {name: int(value) for name, value in exact.items()}
    for name in sorted(exact, key=lambda name: parts[name] - exact[name])[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def choose(
    pool: Pool,
    settings: ReviewSettings,
    *,
    threshold: float | NDArray[np.floating],
    places: Places,
    embed: Embed,
    asked: Collection[Asked] = (),
) -> list[Question]:
    """At most ``settings.budget`` questions, fewer where the pool has no more; a function of its arguments alone.

    ``threshold`` is one for all species, or (S,). No two questions, nor a question and what was ``asked`` before, are about one species at overlapping times.
    """
    parts = apportion(settings.budget, settings.strategy.shares)
    choice = _Choice(pool, settings, places, asked)
    for why, rank in _rankings(pool, threshold, settings.seed).items():
        choice.ask(why, parts[why], _Ranked(choice, why, rank))
    if parts["diverse"]:
        choice.ask("diverse", parts["diverse"], _Unlike(choice, embed))
    return choice.questions


class _Offers(Protocol):
    """What a strategy proposes."""

    def of(self, species: int) -> Sequence[int]:
        """Stretches to choose the next question from, best first; empty where there are no more."""

    def took(self, species: int, stretch: int) -> None:
        """One of them became a question."""


class _Choice:
    """The questions so far, and what they rule out."""

    def __init__(self, pool: Pool, settings: ReviewSettings, places: Places, asked: Collection[Asked]) -> None:
        self.pool, self.settings, self.places = pool, settings, places
        self.questions: list[Question] = []
        self.covered: dict[tuple[int, int], list[tuple[float, float]]] = {}  # by recording and species
        self.of_species: Counter[int] = Counter()
        self.of_place: Counter[tuple[object, ...]] = Counter()
        numbers = {recording.name: number for number, recording in enumerate(pool.recordings)}
        for item in asked:
            self.of_species[item.species_id] += 1
            if item.recording in numbers:
                self._cover(numbers[item.recording], item.species_id, item.start_s, item.end_s)
        num_species = pool.stretches.score.shape[1]
        self._turn = np.random.default_rng([settings.seed, num_species]).permutation(num_species).tolist()

    def ask(self, why: str, count: int, offers: _Offers) -> None:
        """Ask ``count`` questions of one strategy, or as many as it has."""
        left = set(range(len(self._turn))) if count else set()
        end = len(self.questions) + count
        while left and len(self.questions) < end:
            species = min(left, key=lambda species: (self.of_species[species], self._turn[species]))
            offered = offers.of(species)
            if not offered:
                left.remove(species)
                continue
            stretch = min(offered, key=lambda stretch: self._cost(species, stretch, why))
            recording, start_s, end_s = self.box(species, stretch, why)
            score = float(self.pool.stretches.score[stretch, species])
            self.questions.append(Question(recording, species, start_s, end_s, score, why))
            self.of_species[species] += 1
            self._cover(recording, species, start_s, end_s)
            offers.took(species, stretch)

    def box(self, species: int, stretch: int, why: str) -> tuple[int, float, float]:
        """Recording and times that a question is about: the peak of a stretch, or all of one chosen blindly."""
        s, recording = self.pool.stretches, int(self.pool.recording[stretch])
        if why == "random":
            return recording, *self.pool.times(recording, int(s.start[stretch]), int(s.stop[stretch]))
        first, last = int(s.peak_start[stretch, species]), int(s.peak_stop[stretch, species])
        return recording, *self.pool.times(recording, first, last)

    def is_free(self, species: int, stretch: int, why: str) -> bool:
        """Whether nothing that was asked overlaps it."""
        recording, start_s, end_s = self.box(species, stretch, why)
        return not any(start_s < end and start < end_s for start, end in self.covered.get((recording, species), ()))

    def _cover(self, recording: int, species: int, start_s: float, end_s: float) -> None:
        self.covered.setdefault((recording, species), []).append((start_s, end_s))
        for place in self._places(recording, start_s):
            self.of_place[species, *place] += 1
            self.of_place[place] += 1

    def _places(self, recording: int, start_s: float) -> Iterator[tuple[object, ...]]:
        if (site := self.places.site[recording]) is not None:
            yield "site", site
        if (hour := self.places.hour(recording, start_s)) is not None:
            yield "hour", hour
        yield "recording", recording

    def _cost(self, species: int, stretch: int, why: str) -> tuple[int, int, int]:
        """How much was asked at this place: about this species, in this recording, about all species."""
        recording, start_s, _ = self.box(species, stretch, why)
        *known, own = self._places(recording, start_s)
        mine = sum(self.of_place[species, *place] for place in known)
        return mine, self.of_place[species, *own], sum(self.of_place[place] for place in (*known, own))


class _Ranked:
    """The stretches of a species in the order of a rank."""

    def __init__(self, choice: _Choice, why: str, rank: Callable[[int], NDArray[np.floating]]) -> None:
        self.choice, self.why, self.rank = choice, why, rank
        self._orders: dict[int, Iterator[int]] = {}
        self._waiting: dict[int, list[int]] = {}

    def of(self, species: int) -> list[int]:
        """The first :data:`NEAR` that are free."""
        return self.first(species, NEAR)

    def first(self, species: int, count: int) -> list[int]:
        """The first ``count`` that are free."""
        if species not in self._orders:
            order = np.argsort(self.rank(species), kind="stable").astype(np.int32)
            self._orders[species] = map(int, order)
        waiting = [c for c in self._waiting.get(species, ()) if self.choice.is_free(species, c, self.why)]
        while len(waiting) < count and (stretch := next(self._orders[species], None)) is not None:
            if self.choice.is_free(species, stretch, self.why):
                waiting.append(stretch)
        self._waiting[species] = waiting
        return waiting

    def took(self, species: int, stretch: int) -> None:
        """It is no longer free: nothing to remember."""


class _Unlike:
    """Farthest-first traversal (Gonzalez 1985; k-center greedy in Sener & Savarese 2018, arXiv:1708.00489, section 4.2):

    of a species' likely stretches the one whose nearest neighbor among what was asked about it is farthest away.
    Distances are between embeddings less their mean, at unit length. Before anything was asked the likeliest comes first.
    """

    def __init__(self, choice: _Choice, embed: Embed) -> None:
        self.choice, self.embed = choice, embed
        score = choice.pool.stretches.score
        self._likely = _Ranked(choice, "diverse", lambda species: -score[:, species])
        self._heard: dict[int, _Heard] = {}  # only what is asked for is embedded

    def of(self, species: int) -> list[int]:
        """The farthest of those that are free."""
        if species not in self._heard:
            self._heard[species] = self._hear(species)
        heard = self._heard[species]
        free = [i for i, c in enumerate(heard.stretches) if self.choice.is_free(species, c, "diverse")]
        return [heard.stretches[max(free, key=lambda i: (heard.distance[i], -i))]] if free else []

    def took(self, species: int, stretch: int) -> None:
        """It is asked about from now on."""
        heard = self._heard[species]
        row = heard.stretches.index(stretch)
        np.minimum(heard.distance, _nearest(heard.vectors, heard.vectors[row : row + 1]), out=heard.distance)

    def _hear(self, species: int) -> "_Heard":
        stretches = list(self._likely.first(species, LIKELY))
        boxes = [self.choice.box(species, stretch, "diverse") for stretch in stretches]
        for (recording, about), times in self.choice.covered.items():
            boxes += [(recording, *box) for box in times if about == species]
        if not stretches:
            return _Heard([], np.zeros((0, 0)), np.zeros(0))
        vectors = _directions(self.embed([self._around(*box) for box in boxes]))
        mine, asked = vectors[: len(stretches)], vectors[len(stretches) :]
        return _Heard(stretches, mine, _nearest(mine, asked))

    def _around(self, recording: int, start_s: float, end_s: float) -> Part:
        """A stretch of full length around a box, so that all embeddings are of as much sound."""
        pool, length_s = self.choice.pool, self.choice.settings.stretch_s
        start = max(0.0, min((start_s + end_s - length_s) / 2, pool.heard_s[recording] - length_s))
        return Part(Path(pool.recordings[recording].path), start, min(start + length_s, pool.heard_s[recording]))


class _Heard(NamedTuple):
    """Likely stretches of a species: their embeddings, and how far each is from what was asked about it."""

    stretches: list[int]
    vectors: NDArray[np.float64]  # (n, D)
    distance: NDArray[np.float64]  # (n,)


def _nearest(vectors: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance (n,) of each vector to the nearest of ``others``; infinite where there are none."""
    gaps = np.linalg.norm(vectors[:, None] - others[None], axis=2)
    return gaps.min(axis=1, initial=np.inf)  # type: ignore[no-any-return]


def _directions(vectors: FloatArray) -> NDArray[np.float64]:
    """Vectors (N, D) less their mean, at unit length."""
    centered = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)  # type: ignore[no-any-return]


def _rankings(
    pool: Pool, threshold: float | NDArray[np.floating], seed: int
) -> dict[str, Callable[[int], NDArray[np.floating]]]:
    """What each strategy sorts the stretches of a species by, lowest first."""
    score = pool.stretches.score
    thresholds = np.broadcast_to(threshold, score.shape[1])

    def logit(values: NDArray[np.floating]) -> NDArray[np.floating]:
        inside = np.clip(values, _EDGE, 1 - _EDGE)
        return np.log(inside / (1 - inside))  # type: ignore[no-any-return]

    return {
        "top": lambda species: -score[:, species],
        "threshold": lambda species: np.abs(logit(score[:, species]) - logit(thresholds[species])),
        "random": lambda species: np.random.default_rng([seed, species]).random(len(score)),
    }
