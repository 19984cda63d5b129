"""Maps from scores to probabilities: temperature, Platt, isotonic, or none, chosen by cross-validation over recordings.

"Calibrated" is relative to the cells that it was fitted on: probabilities are those of cells that are present as often as
these (docs/tuning.md).
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.prior import log_odds, to_probability
from rfcx_ssl.tuning.tally import IntArray

Kind: TypeAlias = Literal["none", "temperature", "platt", "isotonic"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # from the simplest; the simplest of equals is taken
LEAST_SCORE = 1e-4  # a score of 0 that is wrong costs no more than this one does
NEWTON_STEPS = 100
SMALLEST_SLOPE = 1e-3  # of every map, so that no two scores become one


class Curve(NamedTuple):
    """The map of one species: a piecewise linear function, where there is one, then a line in log odds."""

    slope: float = 1.0
    offset: float = 0.0
    knots: Knots | None = None

    def __call__(self, scores: NDArray[np.floating]) -> NDArray[np.float32]:
        """Scores (n,) to probabilities."""
        return score_map([self])(np.asarray(scores)[:, None])[:, 0]


class Calibration(NamedTuple):
    """What was chosen for one species, and how good each kind is on recordings that it was not fitted on."""

    kind: Kind
    curve: Curve
    losses: Mapping[Kind, float]  # log loss; NaN where there was nothing to cross-validate on
    crossed: (
        FloatArray  # (n,) probabilities of the cells by maps that were fitted without them; NaN where there is none
    )


def score_map(curves: list[Curve]) -> ScoreMap:
    """One curve per species as the map that decisions hold."""
    knots = {species: curve.knots for species, curve in enumerate(curves) if curve.knots is not None}
    return ScoreMap(np.array([c.slope for c in curves]), np.array([c.offset for c in curves]), knots)


def log_losses(probabilities: NDArray[np.floating], present: BoolArray) -> FloatArray:
    """(n,) minus the log probability of what is the case."""
    right = np.where(present, probabilities, 1 - np.asarray(probabilities, np.float64))
    return np.asarray(-np.log(np.clip(right, LEAST_SCORE, 1.0)))


def fit(kind: Kind, scores: FloatArray, present: BoolArray) -> Curve:
    """The map of a kind with the least log loss on cells (n,) of both states.

    ``temperature`` divides log odds by one number (Guo et al., 2017), ``platt`` also adds one, both fitted to the targets of
    Platt (1999, equation 2.2 of Lin et al., 2007); ``isotonic`` is any rising function (Zadrozny and Elkan, 2002), kept from
    0 and 1 as far as the number of cells demands.
    """
    if kind == "none":
        return Curve()
    if kind == "isotonic":
        return Curve(knots=_isotonic(scores, present))
    count, logits = int(present.sum()), log_odds(np.asarray(scores, np.float64))
    targets = np.where(present, (count + 1) / (count + 2), 1 / (len(present) - count + 2))
    if kind == "temperature":
        return Curve(slope=_line(logits[:, None], targets, np.ones(1))[0])
    slope, offset = _line(np.column_stack([logits, np.ones_like(logits)]), targets, np.array([1.0, 0.0]))
    return Curve(slope, offset)


def calibrate(scores: FloatArray, present: BoolArray, group: IntArray) -> Calibration:
    """Choose a kind for cells (n,) whose recordings are in groups ``group`` (n,), and fit it to all of them.

    Each kind is fitted without a group and judged on it, for every group. The simplest kind whose log loss is within one
    standard error of the lowest wins (Breiman et al., 1984): none, where nothing helps for certain.
    """
    crossed = {kind: np.full(len(scores), np.nan) for kind in KINDS}
    for held_out in np.unique(group):
        judged, rest = group == held_out, group != held_out
        if present[rest].any() and not present[rest].all():
            for kind in KINDS:
                crossed[kind][judged] = fit(kind, scores[rest], present[rest])(scores[judged])
    usable = ~np.isnan(crossed["none"])
    if not usable.any():
        return Calibration("none", Curve(), dict.fromkeys(KINDS, float("nan")), crossed["none"])
    losses = {kind: log_losses(values[usable], present[usable]) for kind, values in crossed.items()}
    means = {kind: float(values.mean()) for kind, values in losses.items()}
    best = min(KINDS, key=means.__getitem__)
    for kind in KINDS:
        if means[kind] - means[best] <= _standard_error(losses[kind] - losses[best], group[usable]):
            return Calibration(kind, fit(kind, scores, present), means, crossed[kind])
    raise AssertionError("the best kind is within no error of itself")


def _line(features: FloatArray, targets: FloatArray, start: FloatArray) -> list[float]:
    """Weights (d,) of a logistic regression without any other penalty than keeping the slope above 0; Newton's steps."""
    weights = start.copy()
    for _ in range(NEWTON_STEPS):
        probability = to_probability(features @ weights)
        gradient = features.T @ (probability - targets)
        curvature = (features * (probability * (1 - probability))[:, None]).T @ features
        step = np.linalg.solve(curvature + 1e-6 * np.eye(len(weights)), gradient)
        step *= min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))  # far from the answer the curve is flat
        weights = weights - step
        weights[0] = max(float(weights[0]), SMALLEST_SLOPE)
        if np.abs(step).max() < 1e-9:
            break
    return [float(weight) for weight in weights]


def _isotonic(scores: FloatArray, present: BoolArray) -> Knots:
    """The rising step function with the least squared error, which has the least log loss, too, its ends of steps as knots.

    A thousandth of the line from 0 to 1 is mixed in: where steps are flat, the order of scores stays.
    """
    from sklearn.isotonic import IsotonicRegression

    least = 1 / (len(scores) + 2)
    fitted = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    fitted.fit(np.asarray(scores, np.float64), present.astype(np.float64))
    inner = (fitted.X_thresholds_ > 0) & (fitted.X_thresholds_ < 1)
    ends = np.array([fitted.y_thresholds_[0], *fitted.y_thresholds_[inner], fitted.y_thresholds_[-1]])
    places = np.array([0.0, *fitted.X_thresholds_[inner], 1.0])
    return Knots(places, (1 - SMALLEST_SLOPE) * ends + SMALLEST_SLOPE * places)


def _standard_error(differences: FloatArray, group: IntArray) -> float:
    """Of the mean difference (n,), by groups that are alike within themselves."""
    names, place = np.unique(group, return_inverse=True)
    if len(names) < 2:
        return float("inf")
    sums = np.bincount(place, differences) - np.bincount(place) * differences.mean()
    return float(np.sqrt(len(names) / (len(names) - 1) * (sums**2).sum()) / len(differences))
