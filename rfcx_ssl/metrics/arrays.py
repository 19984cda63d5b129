"""What every metric shares: the checks of its arguments, and the means over classes and cells."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

BoolArray: TypeAlias = NDArray[np.bool_]
FloatArray: TypeAlias = NDArray[np.float64]


def check_arrays(
    truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None
) -> tuple[BoolArray, FloatArray, BoolArray]:
    """Truth as bool, scores as float64, known as bool (all True where None is given), each of shape (R, S).

    Raises:
        ValueError: shapes differ, truth or known hold something other than 0 and 1, or a known score is NaN.
    """
    positive = as_mask("truth", truth)
    values = np.asarray(scores, dtype=np.float64)
    mask = np.ones(positive.shape, dtype=np.bool_) if known is None else as_mask("known", known)
    if positive.ndim != 2 or not positive.shape == values.shape == mask.shape:
        raise ValueError(
            f"truth, scores and known must share one shape (R, S), got {positive.shape}, {values.shape}, {mask.shape}"
        )
    bad = np.isnan(values) & mask
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(f"{int(bad.sum())} known scores are NaN, first at row {row}, column {column}")
    return positive & mask, values, mask


def as_mask(name: str, values: ArrayLike) -> BoolArray:
    """A bool array from 0/1 values of any type; ``name`` is named when something else is in it."""
    array: NDArray[Any] = np.asarray(values)
    if array.dtype == np.bool_:
        return array
    if not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} must hold 0 and 1 only, got {array[~np.isin(array, (0, 1))].flat[0]!r}")
    return array.astype(np.bool_)


def mean_or_nan(values: FloatArray) -> float:
    """Mean of the values that are not NaN; NaN where there are none (without numpy's warning)."""
    kept = values[~np.isnan(values)]
    return float(kept.mean()) if kept.size else float("nan")


def over_classes(
    binary: Callable[[BoolArray, FloatArray], float], truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None
) -> tuple[float, float, FloatArray]:
    """Macro mean, micro (all known cells pooled as one class) and per class (S,) of a metric of one class.

    ``binary`` takes truth and scores of the known cells, both (n,), and answers NaN where it is not defined.
    """
    positive, values, mask = check_arrays(truth, scores, known)
    columns = range(positive.shape[1])
    per_class = np.array([binary(positive[mask[:, s], s], values[mask[:, s], s]) for s in columns])
    return mean_or_nan(per_class), binary(positive[mask], values[mask]), per_class
