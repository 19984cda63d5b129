"""Average precision per class, its macro mean (mAP) and the micro average, on known cells only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, over_classes


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


def _binary(positive: BoolArray, scores: FloatArray) -> float:
    """Average precision of one class, all arguments (n,): sum over thresholds of recall gain times precision."""
    if not positive.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    thresholds = np.append(np.flatnonzero(ranked[:-1] != ranked[1:]), ranked.size - 1)
    hits = np.cumsum(positive[order])[thresholds]
    gain = np.diff(hits, prepend=0) / hits[-1]
    return float(np.sum(gain * hits / (thresholds + 1)))
