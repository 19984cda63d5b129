"""Confidence intervals by resampling recordings, paired when two systems are compared."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays

Rows: TypeAlias = NDArray[np.int64]
Metric = Callable[[BoolArray, FloatArray, BoolArray], float]
Metrics = Callable[[BoolArray, FloatArray, BoolArray], FloatArray]


class Interval(NamedTuple):
    """A value and its percentile bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    metric: Metric,
    truth: ArrayLike,
    scores: ArrayLike,
    other: ArrayLike | None = None,
    known: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """``metric(truth, scores, known)`` with an interval over recordings (rows), drawn with replacement.

    With ``groups`` (R,), all rows of a group are drawn together: rows of one recording are not independent.
    With ``other`` scores it is the difference ``metric(scores) - metric(other)``, both on the same resampled rows.
    Resamples in which the metric is NaN (no positives drawn) are left out.

    Raises:
        ValueError: from the argument checks of the metrics, groups of another length, or a level outside (0, 1).
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"need 0 < level < 1 and resamples >= 1, got {level=}, {resamples=}")
    positive, values, mask = check_arrays(truth, scores, known)
    rival = None if other is None else check_arrays(truth, other, known)[1]

    def statistic(rows: slice | Rows) -> float:
        value = metric(positive[rows], values[rows], mask[rows])
        return value if rival is None else value - metric(positive[rows], rival[rows], mask[rows])

    draws = _draws(statistic, len(positive), groups, rng, resamples)
    return interval_of(statistic(slice(None)) if draws.size else float("nan"), draws, level)


def bootstrap_draws(
    metrics: Metrics,
    truth: ArrayLike,
    scores: ArrayLike,
    known: ArrayLike | None = None,
    *,
    groups: ArrayLike | None = None,
    rng: np.random.Generator,
    resamples: int = 1000,
) -> FloatArray:
    """Several ``metrics(truth, scores, known)``, an array (M,), on the same resampled rows: (resamples, M).

    Generators of one seed draw the same rows, so the draws of two systems can be subtracted; rows and ``groups`` are as
    in :func:`bootstrap_interval`, and :func:`interval_of` makes an interval of a column.
    """
    positive, values, mask = check_arrays(truth, scores, known)
    return _draws(
        lambda rows: metrics(positive[rows], values[rows], mask[rows]), len(positive), groups, rng, resamples
    )


def interval_of(value: float, draws: ArrayLike, level: float = 0.95) -> Interval:
    """``value`` with the central ``level`` of ``draws`` (n,); draws that are NaN are left out, and none is no interval."""
    drawn = np.asarray(draws, dtype=np.float64)
    drawn = drawn[~np.isnan(drawn)]
    if not drawn.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high))


def _draws(
    statistic: Callable[[Rows], float | FloatArray],
    num_rows: int,
    groups: ArrayLike | None,
    rng: np.random.Generator,
    resamples: int,
) -> FloatArray:
    """``statistic`` of ``resamples`` draws of the rows; none where there are no rows."""
    draw = _resampler(num_rows, groups)
    return np.array([statistic(draw(rng)) for _ in range(resamples if num_rows else 0)], dtype=np.float64)


def _resampler(num_rows: int, groups: ArrayLike | None) -> Callable[[np.random.Generator], Rows]:
    """A function that draws as many rows, or whole groups of rows, as there are, with replacement."""
    if groups is None:
        return lambda rng: rng.integers(num_rows, size=num_rows)
    _, group_of, sizes = np.unique(np.asarray(groups), return_inverse=True, return_counts=True)
    if len(group_of) != num_rows:
        raise ValueError(f"groups must have one entry per row, got {len(group_of)} for {num_rows} rows")
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(sizes)[:-1])
    return lambda rng: np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))])
