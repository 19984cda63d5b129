"""Candidate decisions, counted: what each of them finds, and what it takes for a call that is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.settings import PARAMETERS
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.metrics.prior import to_probability

IntArray: TypeAlias = NDArray[np.int64]

THRESHOLDS: FloatArray = to_probability(np.arange(28, -29, -1) / 4)  # from 0.999 down to 0.001 by 0.25 in log odds
MEDIANS_S = (PARAMETERS["median_s"].default, 0.0, 0.25, 0.5)  # what all species share by default comes first
MIN_DURATIONS_S = (PARAMETERS["min_duration_s"].default, 0.2, 0.4)


class Candidate(NamedTuple):
    """What is decided for a species."""

    threshold: float
    median_s: float
    min_duration_s: float


def candidates(medians_s: Sequence[float], min_durations_s: Sequence[float]) -> list[Candidate]:
    """Every threshold with every smoothing; of equals the first one is taken, so the defaults and high thresholds lead."""
    return [
        Candidate(threshold, median_s, shortest_s)
        for median_s in medians_s
        for shortest_s in min_durations_s
        for threshold in THRESHOLDS.tolist()
    ]


class Counts(NamedTuple):
    """What each of C candidates finds."""

    hits: IntArray  # (C,) of what is there, found
    false: IntArray  # (C,) found where it is not
    there: int  # what could be found
    hours: float  # of recordings whose every call is known; 0 where false alarms cannot be counted by the hour

    @property
    def precision(self) -> FloatArray:
        """(C,) share of what is found that is there; NaN where nothing is found."""
        return _ratio(self.hits, self.hits + self.false)

    @property
    def recall(self) -> FloatArray:
        """(C,) share of what is there that is found; NaN where nothing is."""
        return _ratio(self.hits, np.full(self.hits.shape, self.there))

    def f(self, beta: float) -> FloatArray:
        """(C,) F-beta: beta 2 weighs recall above precision, 0.5 below; NaN where nothing is there."""
        weight = beta**2
        missed = self.there - self.hits
        value = _ratio((1 + weight) * self.hits, (1 + weight) * self.hits + weight * missed + self.false)
        return value if self.there else np.full(self.hits.shape, np.nan)

    @property
    def false_per_hour(self) -> FloatArray:
        """(C,) false alarms in an hour; NaN where there are no hours."""
        return _ratio(self.false, np.full(self.false.shape, self.hours))


@dataclass(frozen=True)
class Tally:
    """C candidates for one species, counted apart on each of G groups of recordings."""

    hits: IntArray  # (G, C)
    false: IntArray  # (G, C)
    there: IntArray  # (G,)
    hours: FloatArray  # (G,)

    def on(self, groups: NDArray[np.bool_] | slice = slice(None)) -> Counts:
        """The counts on some groups together; on all by default."""
        there, hours = int(self.there[groups].sum()), float(self.hours[groups].sum())
        return Counts(self.hits[groups].sum(axis=0), self.false[groups].sum(axis=0), there, hours)

    def only(self, columns: NDArray[np.intp]) -> "Tally":
        """Some of the candidates."""
        return Tally(self.hits[:, columns], self.false[:, columns], self.there, self.hours)


def count_scores(scores: FloatArray, present: NDArray[np.bool_], group: IntArray, num_groups: int) -> Tally:
    """Boxes or recordings of one species, each with its score, state and group (n,), at every one of ``THRESHOLDS``."""
    rising = THRESHOLDS[::-1]
    passed = np.searchsorted(rising, scores, side="right")  # how many thresholds a score reaches
    counts = np.zeros((2, num_groups, len(rising) + 1), np.int64)
    np.add.at(counts, (present.astype(np.int64), group, passed), 1)
    found = counts[:, :, ::-1].cumsum(axis=2)[:, :, :-1]  # from the highest threshold down
    there = np.bincount(group[present], minlength=num_groups)
    return Tally(found[1], found[0], there, np.zeros(num_groups))


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> FloatArray:
    """``part / whole``, NaN where the whole is 0."""
    shape = np.broadcast_shapes(part.shape, whole.shape)
    return np.asarray(np.divide(part, whole, out=np.full(shape, np.nan), where=np.asarray(whole) > 0))
