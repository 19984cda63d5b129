"""Precision, recall and F1 on known cells at one threshold, F1 at each class's best; frames pooled to segments."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays, mean_or_nan


class F1(NamedTuple):
    """S classes; classes without a known positive are NaN and do not count in ``macro``."""

    macro: float
    micro: float  # all known cells pooled
    per_class: FloatArray  # (S,)


class Decisions(NamedTuple):
    """What detections at a threshold are worth, each of S classes; the last entry, S, pools all known cells.

    Precision is NaN where nothing is detected, recall and F1 are NaN without a known positive.
    """

    precision: FloatArray  # (S + 1,)
    recall: FloatArray  # (S + 1,)
    f1: FloatArray  # (S + 1,)


class BestF1(NamedTuple):
    """The highest F1 of each class, and the score that reaches it (a detection is a score at or above it)."""

    macro: float
    per_class: FloatArray  # (S,)
    threshold: FloatArray  # (S,)


class Segments(NamedTuple):
    """Frames pooled to segments, each (R', S)."""

    truth: BoolArray
    known: BoolArray
    scores: FloatArray


def f1_score(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None, threshold: ArrayLike = 0.5) -> F1:
    """F1 of ``scores`` (R, S) at or above ``threshold`` (a number, or (S,)), equal to scikit-learn's.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    f1 = decisions(truth, scores, known, threshold).f1
    return F1(mean_or_nan(f1[:-1]), float(f1[-1]), f1[:-1])


def decisions(
    truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None, threshold: ArrayLike = 0.5
) -> Decisions:
    """Precision, recall and F1 of ``scores`` (R, S) at or above ``threshold`` (a number, or (S,)), as scikit-learn has them.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    positive, values, mask = check_arrays(truth, scores, known)
    detected = (values >= np.asarray(threshold)) & mask
    hits, found, there = (_with_total(part) for part in (positive & detected, detected, positive))
    return Decisions(_ratio(hits, found, found), _ratio(hits, there, there), _ratio(2 * hits, found + there, there))


def _with_total(cells: BoolArray) -> FloatArray:
    """Number of cells of each class, and of all."""
    return np.append(cells.sum(axis=0), cells.sum()).astype(np.float64)


def _ratio(part: FloatArray, whole: FloatArray, needed: FloatArray) -> FloatArray:
    """``part / whole``, NaN where ``needed`` is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(part.shape, np.nan), where=needed > 0))


def best_f1(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> BestF1:
    """The best F1 of every class over all thresholds: an upper bound when judged on the same recordings.

    Raises:
        ValueError: shapes differ, truth or known are not 0/1, or a known score is NaN.
    """
    positive, values, mask = check_arrays(truth, scores, known)
    best = [_best(positive[mask[:, s], s], values[mask[:, s], s]) for s in range(positive.shape[1])]
    table = np.array(best, dtype=np.float64).reshape(-1, 2)
    return BestF1(mean_or_nan(table[:, 0]), table[:, 0], table[:, 1])


def pool_segments(target: NDArray[Any], known: NDArray[Any], scores: NDArray[Any], frames: int) -> Segments:
    """Pool ``frames`` frames of one recording, all (T, S), to segments; a last shorter segment counts.

    A segment is present if one known frame is, absent if all its frames are known to be absent, else unknown.
    ``target`` and ``known`` count as yes from 0.5 on; a segment scores as its best frame.
    """
    if frames < 1 or not target.shape == known.shape == scores.shape:
        raise ValueError(
            f"need frames >= 1 and equal shapes, got {frames}, {target.shape}, {known.shape}, {scores.shape}"
        )
    starts = np.arange(0, len(target), frames)
    certain = known >= 0.5
    present = np.logical_or.reduceat((target >= 0.5) & certain, starts, axis=0)
    all_known = np.logical_and.reduceat(certain, starts, axis=0)
    return Segments(present, present | all_known, np.maximum.reduceat(scores.astype(np.float64), starts, axis=0))


def _best(positive: BoolArray, scores: FloatArray) -> tuple[float, float]:
    """Best F1 and its threshold for one class, both (n,)."""
    if not positive.any():
        return float("nan"), float("nan")
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    last = np.append(np.flatnonzero(ranked[:-1] != ranked[1:]), ranked.size - 1)
    hits = np.cumsum(positive[order])[last]
    values = 2 * hits / (last + 1 + positive.sum())
    place = int(values.argmax())
    return float(values[place]), float(ranked[last[place]])
