"""Confidence intervals by resampling recordings, paired when two systems are compared."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays

Metric = Callable[[BoolArray, FloatArray, BoolArray], float]


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
    rng: np.random.Generator,
    resamples: int = 1000,
    level: float = 0.95,
) -> Interval:
    """``metric(truth, scores, known)`` with an interval over recordings (rows), drawn with replacement.

    With ``other`` scores it is the difference ``metric(scores) - metric(other)``, both on the same resampled rows.
    Resamples in which the metric is NaN (no positives drawn) are left out.

    Raises:
        ValueError: from the argument checks of the metrics, or a level outside (0, 1).
    """
    if not 0 < level < 1 or resamples < 1:
        raise ValueError(f"need 0 < level < 1 and resamples >= 1, got {level=}, {resamples=}")
    positive, values, mask = check_arrays(truth, scores, known)
    rival = None if other is None else check_arrays(truth, other, known)[1]

    def statistic(rows: slice | np.ndarray[tuple[int], np.dtype[np.int64]]) -> float:
        value = metric(positive[rows], values[rows], mask[rows])
        return value if rival is None else value - metric(positive[rows], rival[rows], mask[rows])

    num_rows = len(positive)
    draws = np.array([statistic(rng.integers(num_rows, size=num_rows)) for _ in range(resamples if num_rows else 0)])
    draws = draws[~np.isnan(draws)]
    if not draws.size:
        return Interval(float("nan"), float("nan"), float("nan"))
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(slice(None)), float(low), float(high))
