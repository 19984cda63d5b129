"""How common each class is, estimated from a model's scores of unlabelled recordings."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.prior import log_odds


class PrevalenceEstimate(NamedTuple):
    """What :func:`estimate_prevalence` found."""

    prevalence: FloatArray  # (S,) in [0, 1]
    converged: BoolArray  # (S,) False where the last step still moved by more than the tolerance
    steps: int


def estimate_prevalence(
    scores: ArrayLike, train_prevalence: ArrayLike, *, tolerance: float = 1e-6, max_steps: int = 10_000
) -> PrevalenceEstimate:
    """Maximum-likelihood prevalence of each class by EM (Saerens, Latinne and Decaestecker, 2002, equation 2.9).

    Each class is a problem of its own with two outcomes, present and absent. A step scales the scores from the
    training's prevalence q to the prevalence so far, as :func:`rfcx_ssl.metrics.prior_scale` does, and takes the mean over the
    recordings as the next one. The likelihood is concave, so there is one answer wherever it starts; it starts at q.
    It is right where the scores are right: probabilities of the same event that q counts, calibrated under q.

    Args:
        scores: (R, S) probabilities in [0, 1].
        train_prevalence: (S,) or one for all, in (0, 1): the prevalence under which the scores are calibrated.
        tolerance: a class is done when a step moves it by no more than this.
        max_steps: steps after which the others are left where they are.

    Raises:
        ValueError: no recordings, a value out of range, or shapes that do not fit.
    """
    values = np.asarray(scores, dtype=np.float64)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores must have shape (R, S) with R above 0, got {values.shape}")
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores must be probabilities in [0, 1]")
    source = np.broadcast_to(np.asarray(train_prevalence, dtype=np.float64), values.shape[1:])
    if not ((source > 0) & (source < 1)).all():
        raise ValueError(f"train_prevalence must be in (0, 1), got {source.tolist()}")
    ratio = np.exp(log_odds(values) - log_odds(source))  # of the likelihoods of present and absent
    prevalence, moving, steps = source.copy(), np.arange(values.shape[1]), 0
    while len(moving) and steps < max_steps:
        before = prevalence[moving]
        present = before * ratio[:, moving]
        after = (present / (present + (1 - before))).mean(axis=0)
        prevalence[moving] = after
        moving, steps = moving[np.abs(after - before) > tolerance], steps + 1
    converged = np.ones(values.shape[1], np.bool_)
    converged[moving] = False
    return PrevalenceEstimate(prevalence, converged, steps)
