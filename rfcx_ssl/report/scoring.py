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
    match_prevalence,
    prior_floor,
    random_average_precision,
    random_floor,
)
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.bootstrap import Metric

BEST, PRIOR = "best", "prior"  # names in a gate that no run may have


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
class Promise:
    """``better`` (a run, or ``best``) is at least ``required`` LWLRAP above ``worse`` (a run, or ``prior``)."""

    better: str
    worse: str
    required: float


@dataclass(frozen=True)
class Gate:
    """A promise, judged: ``margin`` of the score named ``score``; ``precision`` is the margin in macro AP beside it."""

    name: str
    score: str
    margin: Interval
    required: float
    precision: Interval | None

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
        """Judge probabilities (R, S) scaled to the known prevalence."""
        return self.score(match_prevalence(scores, self.prevalence))

    def interval(self, scores: FloatArray, other: FloatArray | None = None, metric: Metric | None = None) -> Interval:
        """Bootstrap interval of the LWLRAP (or ``metric``), or of its paired difference to ``other``; same resamples."""
        rng = np.random.default_rng(self._seed)
        metric = metric or (lambda *arrays: lwlrap(*arrays).overall)
        return bootstrap_interval(metric, self.truth, scores, other, rng=rng, resamples=self._resamples)

    def floors(self) -> Floors:
        """Random ranking (exact expectation) and the audio-blind class prior."""
        blind = np.broadcast_to(self.prevalence, self.truth.shape).copy()
        ranking = prior_floor(self.truth, self.prevalence)
        prior = Scored(blind, ranking, average_precision(self.truth, blind), self.interval(blind))
        return Floors(random_floor(self.truth), random_average_precision(self.truth), prior)

    def gate(self, promise: Promise, raw: dict[str, Scored], scaled: dict[str, Scored], prior: Scored) -> Gate:
        """Judge a promise: between models on their own probabilities, against the prior with the prior's knowledge.

        ``best`` is the run with the highest such score, picked on the recordings it is judged on.
        """
        scores = scaled if promise.worse == PRIOR else raw
        better = best_system(scores) if promise.better == BEST else promise.better
        shown = f"best model ({better})" if promise.better == BEST else better
        if promise.worse == PRIOR:
            margin = self.interval(scores[better].scores, prior.scores)
            return Gate(f"{shown} over the class prior", "LWLRAP with prior", margin, promise.required, None)
        ours, theirs = scores[better].scores, scores[promise.worse].scores
        precision = self.interval(ours, theirs, lambda *arrays: average_precision(*arrays).macro)
        name = f"{shown} over {promise.worse}"
        return Gate(name, "LWLRAP", self.interval(ours, theirs), promise.required, precision)


def best_system(scored: dict[str, Scored]) -> str:
    """The system with the highest LWLRAP (the first of equals)."""
    return max(scored, key=lambda name: scored[name].ranking.overall)
