"""Prior shift: move class probabilities from the prevalence a model was trained under to the one it is used under."""

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import FloatArray

SMALLEST_SCORE = 1e-7  # float32 sigmoids saturate about here; keeps the odds finite


def prior_scale(
    scores: ArrayLike, prevalence: ArrayLike, train_prevalence: ArrayLike | None = None, alpha: float = 1.0
) -> FloatArray:
    """Probabilities (..., S) whose class odds are multiplied by a factor made from ``prevalence`` (S,).

    Without ``train_prevalence`` the factor is ``prevalence ** alpha``: what a model trained on balanced classes lacks.
    With it, the factor is the ratio of prior odds, ``(p / (1 - p) / (q / (1 - q))) ** alpha``, which is Bayes' rule
    for a known change of prevalence from q to p. ``alpha`` 0 changes nothing. The order of recordings within a class
    never changes.

    Raises:
        ValueError: a score or prevalence outside [0, 1] (train_prevalence and, with it, prevalence: outside (0, 1)), or
            shapes that do not fit.
    """
    values = np.asarray(scores, dtype=np.float64)
    target = np.asarray(prevalence, dtype=np.float64)
    if target.shape != values.shape[-1:]:
        raise ValueError(
            f"prevalence must have shape {values.shape[-1:]} for scores {values.shape}, got {target.shape}"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores must be probabilities in [0, 1]")
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError(f"prevalence must be in [0, 1], got {target.tolist()}")
    with np.errstate(divide="ignore"):  # a prevalence of 0 makes the probability 0
        shift = np.log(target) if train_prevalence is None else _log_odds_ratio(target, train_prevalence)
    clipped = np.clip(values, SMALLEST_SCORE, 1 - SMALLEST_SCORE)
    log_odds = np.log(clipped) - np.log1p(-clipped) + (alpha * shift if alpha else 0.0)
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-log_odds)))


def _log_odds_ratio(target: FloatArray, train_prevalence: ArrayLike) -> FloatArray:
    """log of target odds over training odds, both strictly between 0 and 1."""
    source = np.broadcast_to(np.asarray(train_prevalence, dtype=np.float64), target.shape)
    for name, values in (("prevalence", target), ("train_prevalence", source)):
        if not ((values > 0) & (values < 1)).all():
            raise ValueError(f"{name} must be in (0, 1) for a ratio of prior odds, got {values.tolist()}")
    return np.asarray(np.log(target) - np.log1p(-target) - np.log(source) + np.log1p(-source))
