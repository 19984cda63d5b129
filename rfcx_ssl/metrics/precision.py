"""Average precision per class, its macro mean (mAP) and the micro average, on known cells only."""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays, over_classes

IntArray: TypeAlias = NDArray[np.int64]


class PrecisionRecall(NamedTuple):
    """The curve of one class: a point per threshold, from the highest; a detection is a score at or above it."""

    threshold: FloatArray  # (n,)
    precision: FloatArray  # (n,)
    recall: FloatArray  # (n,)


class AveragePrecision(NamedTuple):
    """Area under the precision-recall curve as a step function; S classes."""

    macro: float  # mean over classes with at least one known positive; NaN where there is none
    micro: float  # all known cells pooled as one class
    per_class: FloatArray  # (S,), NaN for a class without known positives


def average_precision(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> AveragePrecision:
    """Average precision of ``scores`` (R, S) against ``truth`` (R, S) of 0 and 1, equal to scikit-learn's.

    Cells with equal scores enter the curve together. With ``known`` (R, S), unknown cells are left out.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    return AveragePrecision(*over_classes(_binary, truth, scores, known))


def precision_recall(truth: ArrayLike, scores: ArrayLike) -> PrecisionRecall:
    """Precision and recall of one class at every distinct score that adds a positive, all arguments (n,).

    Between two such thresholds recall stays and precision falls, so these points hold the whole step function: the sum
    of recall gains times precisions is the average precision. Without a positive there are no points.

    Raises:
        ValueError: shapes differ, truth is not 0/1, or a score is NaN.
    """
    positive, values, _ = check_arrays(np.atleast_2d(truth), np.atleast_2d(scores), None)
    if not positive.any():
        return PrecisionRecall(*np.zeros((3, 0)))
    threshold, hits, found = _ranking(positive[0], values[0])
    adds = np.diff(hits, prepend=0) > 0
    return PrecisionRecall(threshold[adds], (hits / found)[adds], (hits / hits[-1])[adds])


def _ranking(positive: BoolArray, scores: FloatArray) -> tuple[FloatArray, IntArray, IntArray]:
    """Distinct scores from the highest, and at each the positives and the cells that score as high; equal ones enter together."""
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[:-1] != ranked[1:]), ranked.size - 1)
    return ranked[last], np.cumsum(positive[order])[last], last + 1


def _binary(positive: BoolArray, scores: FloatArray) -> float:
    """Average precision of one class, all arguments (n,): sum over thresholds of recall gain times precision."""
    if not positive.any():
        return float("nan")
    _, hits, found = _ranking(positive, scores)
    gain = np.diff(hits, prepend=0) / hits[-1]
    return float(np.sum(gain * hits / found))
