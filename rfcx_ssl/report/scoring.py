"""The numbers of a comparison: every system's scores raw and prior-scaled, floors, intervals, gates."""

from dataclasses import dataclass

import numpy as np

from rfcx_ssl.metrics import (
    AveragePrecision,
    Interval,
    Lwlrap,
    average_precision,
    bootstrap_interval,
    lwlrap,
    prior_floor,
    prior_scale,
    random_average_precision,
    random_floor,
)
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray

GATE_OVER_PRIOR = 0.05
GATE_OVER_RANDOM_INIT = 0.02


@dataclass(frozen=True)
class Scored:
    """One way of scoring R recordings, judged. ``interval`` is that of the LWLRAP over recordings."""

    scores: FloatArray  # (R, S)
    ranking: Lwlrap
    precision: AveragePrecision
    interval: Interval


@dataclass(frozen=True)
class Floors:
    """What is reached without listening."""

    random: Lwlrap
    random_map: float
    prior: Scored


@dataclass(frozen=True)
class Gate:
    """A promise of the demo: ``margin`` (LWLRAP, prior-scaled) must be at least ``required``."""

    name: str
    margin: Interval
    required: float

    @property
    def holds(self) -> bool:
        """Whether the measured margin reaches the required one."""
        return self.margin.value >= self.required


class Judge:
    """Judges scores of R recordings and S species against complete ``truth``; ``prevalence`` (S,) is known."""

    def __init__(self, truth: BoolArray, prevalence: FloatArray, *, resamples: int = 1000, seed: int = 0) -> None:
        self.truth = truth
        self.prevalence = prevalence
        self._resamples = resamples
        self._seed = seed

    def score(self, scores: FloatArray) -> Scored:
        """Judge probabilities (R, S) as they are."""
        interval = self.interval(scores)
        return Scored(scores, lwlrap(self.truth, scores), average_precision(self.truth, scores), interval)

    def score_scaled(self, scores: FloatArray) -> Scored:
        """Judge probabilities (R, S) with class odds times the known prevalence."""
        return self.score(prior_scale(scores, self.prevalence))

    def interval(self, scores: FloatArray, other: FloatArray | None = None) -> Interval:
        """Bootstrap interval of the LWLRAP, or of its paired difference to ``other``; always the same resamples."""
        rng = np.random.default_rng(self._seed)
        return bootstrap_interval(
            lambda *arrays: lwlrap(*arrays).overall, self.truth, scores, other, rng=rng, resamples=self._resamples
        )

    def floors(self) -> Floors:
        """Random ranking (exact expectation) and the audio-blind class prior."""
        blind = np.broadcast_to(self.prevalence, self.truth.shape).copy()
        ranking = prior_floor(self.truth, self.prevalence)
        prior = Scored(blind, ranking, average_precision(self.truth, blind), self.interval(blind))
        return Floors(random_floor(self.truth), random_average_precision(self.truth), prior)

    def gate(self, name: str, better: Scored, worse: Scored, required: float) -> Gate:
        """Does ``better`` beat ``worse`` by at least ``required``?"""
        return Gate(name, self.interval(better.scores, worse.scores), required)


def best_system(scaled: dict[str, Scored]) -> str:
    """Whom the first gate judges: the highest prior-scaled LWLRAP (the first of equals), against the prior alone."""
    return max(scaled, key=lambda name: scaled[name].ranking.overall)


def demo_gates(
    judge: Judge, floors: Floors, scaled: dict[str, Scored], pretrained: str | None, random_init: str | None
) -> list[Gate]:
    """The gates of the demo, all with prior scaling; the second one needs both roles to be named."""
    best = best_system(scaled)
    gates = [judge.gate(f"best model ({best}) over the class prior", scaled[best], floors.prior, GATE_OVER_PRIOR)]
    if pretrained and random_init:
        name = f"pretrained ({pretrained}) over random init ({random_init})"
        gates.append(judge.gate(name, scaled[pretrained], scaled[random_init], GATE_OVER_RANDOM_INIT))
    return gates
