"""Candidate decisions, counted: what each of them finds, and what it takes for a call that is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.settings import PARAMETERS, DecoderKind
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.metrics.prior import to_probability

IntArray: TypeAlias = NDArray[np.int64]
Candidate: TypeAlias = Mapping[str, float]  # what is decided for a species, by the names of PARAMETERS
Shapes: TypeAlias = Mapping[str, Sequence[float]]  # what is tried of each parameter but the threshold

THRESHOLDS: FloatArray = to_probability(np.arange(28, -29, -1) / 4)  # from 0.999 down to 0.001 by 0.25 in log odds
_OTHERS: Mapping[DecoderKind, Shapes] = {
    "hysteresis": {"median_s": (0.0, 0.25, 0.5), "min_duration_s": (0.2, 0.4)},
    "change_point": {
        "step_filter_s": (0.25, 1.0),
        "merge_absolute": (0.1, 1.0),
        "merge_relative": (1.5, 4.0),
        "min_duration_s": (0.2, 0.4),
    },
}
SHAPES: Mapping[DecoderKind, Shapes] = {  # the default of each comes first, min_duration_s last
    decoder: {key: (PARAMETERS[key].default, *values) for key, values in others.items()}
    for decoder, others in _OTHERS.items()
}


def defaults(decoder: DecoderKind) -> Shapes:
    """Nothing but the default of each."""
    return {key: values[:1] for key, values in SHAPES[decoder].items()}


def blocks(shapes: Shapes) -> list[Candidate]:
    """Every combination of the shapes, the defaults first and the last parameter fastest."""
    return [dict(zip(shapes, values, strict=True)) for values in product(*shapes.values())]


def candidates(shapes: Shapes) -> list[Candidate]:
    """Every threshold with every shape; of equals the first one is taken, so the defaults and high thresholds lead."""
    return [{"threshold": threshold, **block} for block in blocks(shapes) for threshold in THRESHOLDS.tolist()]


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
