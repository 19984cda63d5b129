"""Prior shift: move class probabilities from the prevalence a model was trained under to the one it is used under."""

import numpy as np
from numpy.typing import ArrayLike

from rfcx_ssl.metrics.arrays import FloatArray

SMALLEST_SCORE = 1e-7  # float32 sigmoids saturate about here; keeps the odds finite
HALVINGS = 60  # of an interval of at most 65 in log odds: down to the last bit


def prior_scale(scores: ArrayLike, prevalence: ArrayLike, train_prevalence: ArrayLike) -> FloatArray:
    """Probabilities (..., S) whose class odds are multiplied by the ratio of prevalence odds.

    The factor is ``p / (1 - p) / (q / (1 - q))``: Bayes' rule for a ``prevalence`` (S,) that changes from the training's q
    to p while the sound of each class stays the same (Saerens et al., 2002, equation 2.4). The order of recordings
    within a class never changes.

    Raises:
        ValueError: a score or prevalence outside [0, 1], train_prevalence outside (0, 1), or shapes that do not fit.
    """
    values, target = _check(scores, prevalence)
    return to_probability(log_odds(values) + prior_shift(target, train_prevalence))


def prior_shift(prevalence: ArrayLike, train_prevalence: ArrayLike) -> FloatArray:
    """What :func:`prior_scale` adds to the log odds of each class (S,): infinite for a prevalence of 0 or 1.

    Raises:
        ValueError: a prevalence outside [0, 1], or a train_prevalence outside (0, 1).
    """
    target = _check_prevalence(prevalence)
    source = np.broadcast_to(np.asarray(train_prevalence, dtype=np.float64), target.shape)
    if not ((source > 0) & (source < 1)).all():
        raise ValueError(f"train_prevalence must be in (0, 1), got {source.tolist()}")
    return log_odds(target, 0.0) - log_odds(source)


def match_prevalence(scores: ArrayLike, prevalence: ArrayLike) -> FloatArray:
    """Probabilities (R, S) whose class odds are multiplied by the one factor that makes their mean the ``prevalence``.

    :func:`prior_scale` with a q that nobody has to know: the one under which EM on these R unlabelled recordings
    (:func:`rfcx_ssl.metrics.estimate_prevalence`) would find the prevalence p, for its fixed point is where the mean of the
    scaled probabilities is p. This q holds what training did to a class and what the model makes of the place, too.
    It wants some tens of recordings; of one recording, nothing but the prevalence is left.

    Raises:
        ValueError: no recordings, or a score or prevalence outside [0, 1], or shapes that do not fit.
    """
    return to_probability(log_odds(np.asarray(scores, dtype=np.float64)) + matching_shift(scores, prevalence))


def matching_shift(scores: ArrayLike, prevalence: ArrayLike) -> FloatArray:
    """What :func:`match_prevalence` adds to the log odds of each class (S,); raises as it does."""
    values, target = _check(scores, prevalence)
    if values.ndim != 2 or not len(values):
        raise ValueError(f"scores must have shape (R, S) with R above 0, got {values.shape}")
    logits, wanted = log_odds(values), log_odds(target, 0.0)
    low, high = wanted - logits.max(axis=0), wanted - logits.min(axis=0)  # here the mean is at most, at least p
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = to_probability(logits + middle).mean(axis=0) > target
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray((low + high) / 2)


def log_odds(probabilities: FloatArray, smallest: float = SMALLEST_SCORE) -> FloatArray:
    """log(p / (1 - p)) of probabilities, first brought ``smallest`` away from 0 and 1; with 0.0 these become infinite."""
    clipped = np.clip(probabilities, smallest, 1 - smallest)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(clipped) - np.log1p(-clipped))


def to_probability(logits: FloatArray) -> FloatArray:
    """1 / (1 + exp(-logit)), without a warning at the ends."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-logits)))


def _check(scores: ArrayLike, prevalence: ArrayLike) -> tuple[FloatArray, FloatArray]:
    values, target = np.asarray(scores, dtype=np.float64), _check_prevalence(prevalence)
    if target.shape != values.shape[-1:]:
        raise ValueError(
            f"prevalence must have shape {values.shape[-1:]} for scores {values.shape}, got {target.shape}"
        )
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError("scores must be probabilities in [0, 1]")
    return values, target


def _check_prevalence(prevalence: ArrayLike) -> FloatArray:
    target = np.asarray(prevalence, dtype=np.float64)
    if not ((target >= 0) & (target <= 1)).all():
        raise ValueError(f"prevalence must be in [0, 1], got {target.tolist()}")
    return target
