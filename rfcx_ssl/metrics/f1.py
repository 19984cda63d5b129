"""F1 on known cells, at one threshold and at each class's best; frames pooled to segments keep what is unknown unknown."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray, check_arrays, mean_or_nan


class F1(NamedTuple):
    """S classes; classes without a known positive are NaN and do not count in ``macro``."""

    macro: float
    micro: float  # all known cells pooled
    per_class: FloatArray  # (S,)


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
    positive, values, mask = check_arrays(truth, scores, known)
    detected = (values >= np.asarray(threshold)) & mask
    hits, found, there = (positive & detected).sum(axis=0), detected.sum(axis=0), positive.sum(axis=0)
    per_class = np.full(positive.shape[1], np.nan)
    np.divide(2 * hits, found + there, out=per_class, where=there > 0)
    pooled = int(found.sum() + there.sum())
    micro = 2 * int(hits.sum()) / pooled if there.sum() else float("nan")
    return F1(mean_or_nan(per_class), micro, per_class)


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
