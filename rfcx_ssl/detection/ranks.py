"""Models that score recordings on scales of their own, combined by the order in which each puts the recordings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.metrics import match_prevalence

FloatArray = NDArray[np.float64]


def scores_by_rank(
    scores: FloatArray, weights: Sequence[float] | None = None, *, keep_means: bool = False
) -> FloatArray:
    """Scores (R, S) from those of several models (M, R, S): by :func:`combine_ranks`.

    A recording that a model did not hear (NaN) is NaN and has no rank, and a species that scores 0 everywhere stays at 0.

    Args:
        weights: of the models; None: all alike.
        keep_means: shift the odds of each species so that its mean is that of the models' scores. Ranks alone give all
            species the mean 1/2, and forget which is common.
    """
    known = ~np.isnan(scores).any(axis=(0, 2))
    found = np.full(scores.shape[1:], np.nan)
    if not known.any():
        return found
    heard = scores[:, known]
    combined = combine_ranks(list(heard), weights)
    if keep_means:
        combined = match_prevalence(combined, np.average(heard.mean(axis=1), axis=0, weights=weights))
    found[known] = np.where((heard == 0).all(axis=(0, 1)), 0.0, combined)
    return found


def combine_ranks(scores: Sequence[NDArray[np.floating]], weights: Sequence[float] | None = None) -> FloatArray:
    """The weighted mean of the :func:`ranks` of several models' scores (R, S), R above 0, in (0, 1): ``(rank - 1/2) / R``.

    ``weights`` need not sum to 1. Every species has the mean 1/2.
    """
    means = np.average([ranks(of_model) for of_model in scores], axis=0, weights=weights)
    return np.asarray((means - 0.5) / len(means))


def ranks(scores: NDArray[np.floating]) -> FloatArray:
    """The rank of each of R scores of a species (R, S), from 1 for the lowest; equal ones share the mean of their ranks."""
    found = np.empty(scores.shape)
    for species, column in enumerate(scores.T):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        found[:, species] = (np.cumsum(count) - (count - 1) / 2)[place]
    return found
