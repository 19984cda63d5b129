"""One judge of probabilities, raw or prior-scaled: scores, floors, intervals, paired differences.

Rows are recordings, or boxes with the one cell of their species known. A recording without a known present and a known
absent species cannot be ranked, and a species without both has no precision and no AUC: which they are is decided once,
on all rows, not in every resample. On complete labels these are the plain metrics.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics import (
    AveragePrecision,
    Decisions,
    Interval,
    Lwlrap,
    RocAuc,
    average_precision,
    bootstrap_draws,
    columns_with_both,
    decisions,
    interval_of,
    lwlrap,
    random_average_precision,
    random_floor,
    roc_auc,
    rows_with_both,
)
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray

FEWEST = 5  # rows that an interval needs: ranked ones, or present and absent ones of a species


class Judge:
    """Judges probabilities of R rows and S species.

    Args:
        truth: (R, S) what is there; False where unknown.
        prevalence: (S,) how common each species is, known without listening.
        known: (R, S) what is known; None is everything.
        clusters: (R,) rows of one cluster (a site, or the recording of a box) are resampled together; None: each alone.
        threshold: probability from which on a species counts as detected; one for all, or (S,).
    """

    def __init__(
        self,
        truth: BoolArray,
        prevalence: FloatArray,
        *,
        known: BoolArray | None = None,
        clusters: ArrayLike | None = None,
        threshold: float | FloatArray = 0.5,
        resamples: int = 1000,
        seed: int = 0,
    ) -> None:
        self.known = np.ones(truth.shape, np.bool_) if known is None else known
        self.truth = truth & self.known
        self.prevalence = prevalence
        self.threshold = threshold
        self.ranked = rows_with_both(self.truth, self.known)
        self.compared = columns_with_both(self.truth, self.known)
        self.refutable = self.known & (self.known & ~self.truth).any(axis=0)  # else every detection is right
        self._clusters, self._resamples, self._seed = clusters, resamples, seed

    def within(self, cells: BoolArray) -> "Judge":
        """The judge of a part: the rows with any of ``cells`` (R, S), of which the others are taken as unknown."""
        rows = cells.any(axis=1)
        return Judge(
            self.truth[rows],
            self.prevalence,
            known=(self.known & cells)[rows],
            clusters=None if self._clusters is None else np.asarray(self._clusters)[rows],
            threshold=self.threshold,
            resamples=self._resamples,
            seed=self._seed,
        )

    def score(self, scores: FloatArray) -> "Scored":
        """Judge probabilities (R, S) as they are."""
        return Scored(self, scores)

    @cached_property
    def chance(self) -> FloatArray:
        """(S,) expected average precision of random scores, species by species."""
        columns = [(self.truth[:, [s]], self.compared[:, [s]]) for s in range(self.truth.shape[1])]
        return np.array([random_average_precision(*column) for column in columns])

    def enough(self, measure: str) -> BoolArray:
        """(M,) which values of a measure rest on enough rows for an interval; those over all species do."""
        least = np.minimum(self.truth.sum(axis=0), (self.known & ~self.truth).sum(axis=0)) >= FEWEST
        over_all = np.ones(2, np.bool_)
        return {
            "lwlrap": np.array([self.ranked.any(axis=1).sum() >= FEWEST]),
            "map": np.concatenate([over_all, least]),
            "auc": np.concatenate([over_all, least]),
            "decisions": np.tile(np.append(least, True), 3),
        }[measure]

    def floors(self) -> "Floors":
        """Random ranking (exact expectation) and the audio-blind class prior."""
        prior = self.score(np.broadcast_to(self.prevalence, self.truth.shape).copy())
        ranking, precision = random_floor(self.truth, self.ranked), random_average_precision(self.truth, self.compared)
        pooled = random_average_precision(self.truth[self.compared][:, None])
        return Floors(ranking, precision, pooled, prior)

    def measure(self, name: str) -> "Measure":
        """One of :data:`MEASURES` with the cells that it is taken on, ready for the metrics' bootstrap."""
        kind, threshold = MEASURES[name], self.threshold
        cells = {"ranked": self.ranked, "compared": self.compared, "refutable": self.refutable}[kind.cells]
        return Measure(lambda truth, scores, known: kind.values(truth, scores, known, threshold), cells)

    def draws(self, name: str, scores: FloatArray) -> FloatArray:
        """A measure (M,) on resampled rows, (resamples, M); the same rows whatever is judged."""
        values, cells = self.measure(name)
        rng = np.random.default_rng(self._seed)
        return bootstrap_draws(
            values, self.truth, scores, cells, groups=self._clusters, rng=rng, resamples=self._resamples
        )


class Measure(NamedTuple):
    """Values (M,) of truth, scores and known, and the cells (R, S) that are known to it."""

    values: Callable[[BoolArray, FloatArray, BoolArray], FloatArray]
    cells: BoolArray


class Kind(NamedTuple):
    """A measure: which cells of the judge it is taken on, and its values (M,) of truth, scores, known and threshold.

    A positive that is drawn twice raises the precision at its own rank, so that draws of an average precision lie above
    it, far above where positives are few. The spread of ``centred`` draws is laid around the value: what other test sets
    of this size would have given.
    """

    cells: str
    values: Callable[[BoolArray, FloatArray, BoolArray, float | FloatArray], FloatArray]
    centred: bool = True


def _areas(found: AveragePrecision | RocAuc) -> FloatArray:
    return np.array([found.macro, found.micro, *found.per_class])


#: Macro or overall values come first, then pooled ones, then the species'; decisions are precisions, recalls and F1 of
#: the species, pooled values last in each.
MEASURES = {
    "lwlrap": Kind("ranked", lambda truth, scores, known, _: np.array([lwlrap(truth, scores, known).overall]), False),
    "map": Kind("compared", lambda truth, scores, known, _: _areas(average_precision(truth, scores, known))),
    "auc": Kind("compared", lambda truth, scores, known, _: _areas(roc_auc(truth, scores, known))),
    "decisions": Kind("refutable", lambda *arguments: np.concatenate(decisions(*arguments))),
}


@dataclass(frozen=True)
class Scored:
    """One way of scoring R rows and S species, judged; what is resampled is drawn when it is asked for."""

    judge: Judge = field(repr=False)
    scores: FloatArray  # (R, S)

    @cached_property
    def ranking(self) -> Lwlrap:
        """LWLRAP over the rows that can be ranked."""
        return lwlrap(self.judge.truth, self.scores, self.judge.ranked)

    @cached_property
    def precision(self) -> AveragePrecision:
        """Average precision of the species that are known to be present and absent."""
        return average_precision(self.judge.truth, self.scores, self.judge.compared)

    @cached_property
    def area(self) -> RocAuc:
        """ROC-AUC of the same species."""
        return roc_auc(self.judge.truth, self.scores, self.judge.compared)

    @cached_property
    def decisions(self) -> Decisions:
        """Precision, recall and F1 at the judge's threshold, of the species that are known to be absent somewhere."""
        return decisions(self.judge.truth, self.scores, self.judge.refutable, self.judge.threshold)

    @property
    def interval(self) -> Interval:
        """Bootstrap interval of the LWLRAP, however few rows can be ranked."""
        value, draws = self.ranking.overall, self._draws("lwlrap")[:, 0]
        return interval_of(value, draws)

    def intervals(self, measure: str) -> list[Interval]:
        """Bootstrap intervals of every value of one of :data:`MEASURES`; NaN where a value is.

        There is none over fewer than ``FEWEST`` ranked rows, or of a species with fewer present or absent rows.
        """
        values = self._values(measure)
        if np.isnan(values).all():
            return [Interval(np.nan, np.nan, np.nan)] * len(values)
        draws = self._draws(measure)
        if MEASURES[measure].centred:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a species that no draw holds
                draws = np.clip(draws - np.nanmean(draws, axis=0) + values, 0, 1)
        enough = self.judge.enough(measure)
        pairs = zip(values.tolist(), np.where(enough, draws, np.nan).T, strict=True)
        return [Interval(value, *interval_of(value, drawn)[1:]) for value, drawn in pairs]

    def over(self, other: "Scored", measure: str) -> Interval:
        """By how much the first value of ``measure`` is above that of ``other``, both on the same resampled rows."""
        difference = float(self._values(measure)[0] - other._values(measure)[0])
        draws = () if np.isnan(difference) else self._draws(measure)[:, 0] - other._draws(measure)[:, 0]
        return interval_of(difference, draws)

    def _values(self, measure: str) -> FloatArray:
        values, cells = self.judge.measure(measure)
        return values(self.judge.truth & cells, self.scores, cells)

    def _draws(self, measure: str) -> FloatArray:
        if measure not in self._drawn:
            self._drawn[measure] = self.judge.draws(measure, self.scores)
        return self._drawn[measure]

    @cached_property
    def _drawn(self) -> dict[str, FloatArray]:
        return {}


@dataclass(frozen=True)
class Floors:
    """What is reached without listening."""

    random: Lwlrap
    random_map: float
    random_map_micro: float
    prior: Scored
