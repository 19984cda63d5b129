"""Metrics of partly labelled data: cells without an opponent do not count, so that nothing is perfect for want of one.

A present cell can only be ranked against a cell that is known to be absent. Where a recording (or a species) has known
cells of one kind only, every score gives the same value, 1.0 mostly: such rows (columns) are left out, and a metric of
which nothing is left is NaN. On complete labels, in which every row and column has both kinds, nothing changes.
"""

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, check_arrays
from rfcx_ssl.metrics.precision import AveragePrecision, average_precision
from rfcx_ssl.metrics.ranking import Lwlrap, lwlrap
from rfcx_ssl.metrics.roc import RocAuc, roc_auc


def rows_with_both(truth: ArrayLike, known: ArrayLike | None = None) -> BoolArray:
    """``known`` (R, S) without the rows that lack a known present or a known absent cell."""
    return _with_both(truth, known, axis=1)


def columns_with_both(truth: ArrayLike, known: ArrayLike | None = None) -> BoolArray:
    """``known`` (R, S) without the columns that lack a known present or a known absent cell."""
    return _with_both(truth, known, axis=0)


def partial_lwlrap(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> Lwlrap:
    """:func:`lwlrap` over the recordings in which something is known to be absent."""
    return lwlrap(truth, scores, rows_with_both(truth, known))


def partial_precision(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> AveragePrecision:
    """:func:`average_precision` over the species with a known present and a known absent cell."""
    return average_precision(truth, scores, columns_with_both(truth, known))


def partial_auc(truth: ArrayLike, scores: ArrayLike, known: ArrayLike | None = None) -> RocAuc:
    """:func:`roc_auc` over the species with a known present and a known absent cell."""
    return roc_auc(truth, scores, columns_with_both(truth, known))


def _with_both(truth: ArrayLike, known: ArrayLike | None, axis: int) -> BoolArray:
    positive, _, mask = check_arrays(truth, np.zeros(np.shape(truth)), known)
    both = positive.any(axis=axis, keepdims=True) & (mask & ~positive).any(axis=axis, keepdims=True)
    return mask & both
