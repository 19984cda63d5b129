"""What is reached without listening: random ranking and the audio-blind class prior. Print them beside every score."""

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import FloatArray, check_arrays, mean_or_nan
from rfcx_ssl.metrics.ranking import Lwlrap, lwlrap


def random_floor(truth: ArrayLike, known: ArrayLike | None = None) -> Lwlrap:
    """Expected LWLRAP of a uniformly random ranking of every recording's known labels (exact, nothing is drawn)."""
    positive, _, mask = check_arrays(truth, np.zeros(np.shape(truth)), known)
    expected = _expected_precision(positive.sum(axis=1), mask.sum(axis=1))  # (R,), the same for each of its positives
    count = positive.sum(axis=0)
    total = int(count.sum())
    per_class = np.full(positive.shape[1], np.nan)
    np.divide(np.where(positive, expected[:, None], 0.0).sum(axis=0), count, out=per_class, where=count > 0)
    weight = count / max(total, 1)
    overall = float(np.nansum(per_class * weight)) if total else float("nan")
    return Lwlrap(overall, per_class, weight)


def prior_floor(truth: ArrayLike, prevalence: ArrayLike, known: ArrayLike | None = None) -> Lwlrap:
    """LWLRAP of ranking every recording by the same class ``prevalence`` (S,), whatever is in it."""
    scores = np.broadcast_to(np.asarray(prevalence, dtype=np.float64), np.shape(truth))
    return lwlrap(truth, scores, known)


def random_average_precision(truth: ArrayLike, known: ArrayLike | None = None) -> float:
    """Expected macro average precision (mAP) of random scores: slightly above the mean prevalence."""
    positive, _, mask = check_arrays(truth, np.zeros(np.shape(truth)), known)
    expected = _expected_precision(positive.sum(axis=0), mask.sum(axis=0))
    return mean_or_nan(np.where(positive.any(axis=0), expected, np.nan))


def _expected_precision(positives: ArrayLike, candidates: ArrayLike) -> FloatArray:
    """Mean precision at the rank of a positive in a random order of n candidates with p positives, elementwise.

    The positive sits at each rank k of 1..n alike, with (k - 1)(p - 1)/(n - 1) other positives above it on average:
    the mean of (1 + (k - 1)(p - 1)/(n - 1)) / k is (H + (n - H)(p - 1)/(n - 1)) / n, H being the n-th harmonic number.
    """
    p, n = np.asarray(positives, dtype=np.float64), np.asarray(candidates, dtype=np.int64)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, int(n.max(initial=0)) + 1))])[n]
    others = (p - 1) / np.maximum(n - 1, 1)
    return np.asarray((harmonic + (n - harmonic) * others) / np.maximum(n, 1))
