"""Label-weighted label-ranking average precision (LWLRAP), the metric of the RFCX competition.

Every positive label has a precision: of the labels ranked at or above it in its recording, the share that is positive.
LWLRAP is the mean of that precision over all positive labels.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays


class Lwlrap(NamedTuple):
    """``overall`` equals ``nansum(per_class * weight)``; S classes."""

    overall: float  # NaN where no label is positive
    per_class: FloatArray  # (S,) mean precision of the class's positives, NaN where it has none
    weight: FloatArray  # (S,) share of all positives that belong to the class; sums to 1, all 0 without positives


def lwlrap(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> Lwlrap:
    """LWLRAP of ``scores`` (R, S) against ``truth`` (R, S) of 0 and 1; higher scores rank first.

    Equal to scikit-learn's ``label_ranking_average_precision_score`` with each row weighted by its positives. Labels
    with equal scores share the worst rank among them, so the order of the columns never matters. Rows without
    positives do not count. With ``known`` (R, S), a recording's ranking holds its known labels only.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    positive, values, mask = check_arrays(truth, scores, known)
    precision = label_precision(positive, values, mask)
    count = positive.sum(axis=0)
    total = int(count.sum())
    per_class = np.full(positive.shape[1], np.nan)
    np.divide(np.where(positive, precision, 0.0).sum(axis=0), count, out=per_class, where=count > 0)
    overall = float(precision[positive].mean()) if total else float("nan")
    return Lwlrap(overall, per_class, count / max(total, 1))


def label_precision(positive: BoolArray, scores: FloatArray, known: BoolArray) -> FloatArray:
    """Precision at the rank of every label, (R, S): known positives over known labels scored at least as high.

    Meaningful where ``known``; 0 elsewhere.
    """
    ranked_scores = np.where(known, scores, -np.inf)
    order = np.argsort(-ranked_scores, axis=1, kind="stable")
    ranked = np.take_along_axis(ranked_scores, order, axis=1)
    positives_above = np.cumsum(np.take_along_axis(positive, order, axis=1), axis=1)
    labels_above = np.cumsum(np.take_along_axis(known, order, axis=1), axis=1)
    last = _last_of_ties(ranked)
    at_rank = np.take_along_axis(positives_above, last, 1) / np.maximum(np.take_along_axis(labels_above, last, 1), 1)
    precision = np.empty_like(at_rank)
    np.put_along_axis(precision, order, at_rank, axis=1)
    return np.where(known, precision, 0.0)


def _last_of_ties(ranked: FloatArray) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Index of the last column with the same score, for sorted rows (R, S)."""
    columns = ranked.shape[1]
    differs = np.ones(ranked.shape, dtype=np.bool_)
    differs[:, :-1] = ranked[:, :-1] != ranked[:, 1:]
    ends = np.where(differs, np.arange(columns), columns)
    return np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
