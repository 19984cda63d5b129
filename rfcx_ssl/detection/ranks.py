"""Models that score recordings on scales of their own, combined by the order in which each puts the recordings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def combine_ranks(scores: Sequence[NDArray[np.floating]], weights: Sequence[float] | None = None) -> FloatArray:
    """The weighted mean of :func:`shared_ranks` of several models' scores (R, S); ``weights`` need not sum to 1."""
    return np.average([shared_ranks(of_model) for of_model in scores], axis=0, weights=weights)


def shared_ranks(scores: NDArray[np.floating]) -> FloatArray:
    """The place of each recording's score among those of its species, in (0, 1): ``(rank - 1/2) / R`` of ``scores`` (R, S).

    Ranks count from 1 for the lowest; equal scores share the mean of their ranks, so that every species has the mean 1/2.
    """
    found = np.empty(scores.shape)
    for species, column in enumerate(scores.T):
        _, place, count = np.unique(column, return_inverse=True, return_counts=True)
        found[:, species] = (np.cumsum(count) - (count - 1) / 2)[place]
    return (found - 0.5) / max(len(scores), 1)
