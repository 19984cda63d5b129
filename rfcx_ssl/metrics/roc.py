"""Area under the ROC curve per class, macro and micro, on known cells only."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, over_classes


class RocAuc(NamedTuple):
    """Chance that a positive cell scores above a negative one, a tie counting one half; S classes."""

    macro: float  # mean over classes with a known positive and a known negative; NaN where there is none
    micro: float  # all known cells pooled as one class
    per_class: FloatArray  # (S,), NaN for a class with one kind of label only


def roc_auc(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> RocAuc:
    """ROC-AUC of ``scores`` (R, S) against ``truth`` (R, S) of 0 and 1, equal to scikit-learn's.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    return RocAuc(*over_classes(_binary, truth, scores, known))


def _binary(positive: BoolArray, scores: FloatArray) -> float:
    """Mann-Whitney U over the number of pairs, all arguments (n,)."""
    num_positive = int(positive.sum())
    num_negative = positive.size - num_positive
    if not num_positive or not num_negative:
        return float("nan")
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    mean_rank = np.cumsum(count) - (count - 1) / 2  # 1-based, shared by equal scores
    rank_sum = float(mean_rank[place][positive].sum())
    return (rank_sum - num_positive * (num_positive + 1) / 2) / (num_positive * num_negative)
