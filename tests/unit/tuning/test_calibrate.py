"""Calibration against scikit-learn, scipy and what scores were made with."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from rfcx_ssl.metrics.prior import log_odds, to_probability
from rfcx_ssl.tuning.calibrate import KINDS, SMALLEST_SLOPE, Curve, calibrate, fit, log_losses


def drawn(slope, offset, count=3000, seed=0):
    """Scores whose true probabilities are ``sigmoid(slope * logit + offset)``, states drawn from them, ten groups."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, count)
    present = rng.random(count) < to_probability(slope * logits + offset)
    return to_probability(logits), present, np.arange(count) % 10


@pytest.mark.parametrize(
    ("slope", "offset", "kind"),
    [(1.0, 0.0, "none"), (0.4, 0.0, "temperature"), (3.0, 0.0, "temperature"), (0.7, -2.0, "platt")],
)
def test_the_kind_that_made_the_scores_wins_and_finds_what_made_them(slope, offset, kind):
    found = calibrate(*drawn(slope, offset))
    assert found.kind == kind
    assert_allclose([found.curve.slope, found.curve.offset], [slope, offset], atol=0.2)
    assert found.losses[kind] <= found.losses["none"]


def test_a_map_that_is_no_line_is_isotonic():
    rng = np.random.default_rng(0)
    scores = rng.random(4000)
    present = rng.random(4000) < np.where(scores < 0.5, 0.1, 0.5)
    found = calibrate(scores, present, np.arange(4000) % 10)
    assert found.kind == "isotonic"
    assert_allclose(found.curve(np.array([0.2, 0.8])), [0.1, 0.5], atol=0.06)


@pytest.mark.parametrize("count", [20, 60, 400])
def test_scores_that_are_probabilities_are_left_alone(count):
    kinds = [calibrate(*drawn(1.0, 0.0, count, seed)).kind for seed in range(20)]
    assert kinds.count("none") >= 17


def test_fits_equal_scipys_and_scikit_learns():
    scores, present, _ = drawn(0.7, -1.0, count=300)
    logits, count = log_odds(scores), int(present.sum())
    targets = np.where(present, (count + 1) / (count + 2), 1 / (300 - count + 2))

    def cost(weights):
        z = weights[0] * logits + (weights[1] if len(weights) == 2 else 0.0)
        return float((np.logaddexp(0, z) - targets * z).sum())

    best = minimize(cost, [1.0, 0.0]).x
    curve = fit("platt", scores, present)
    assert_allclose([curve.slope, curve.offset], best, atol=1e-4)
    assert_allclose(fit("temperature", scores, present).slope, minimize(cost, [1.0]).x[0], atol=1e-4)
    expected = (
        IsotonicRegression(y_min=1 / 302, y_max=301 / 302, out_of_bounds="clip").fit(scores, present).predict(scores)
    )
    mixed = (1 - SMALLEST_SLOPE) * expected + SMALLEST_SLOPE * scores
    assert_allclose(fit("isotonic", scores, present)(scores), mixed, atol=1e-3)
    assert fit("none", scores, present) == Curve()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("apart", [True, False])
def test_no_map_changes_the_order_of_scores(kind, apart):
    rng = np.random.default_rng(0)
    scores = rng.uniform(0.01, 0.99, 60)
    present = scores > 0.5 if apart else rng.random(60) < 1 - scores  # as good, and as bad as can be
    mapped = fit(kind, scores, present)(np.linspace(0.02, 0.98, 50))
    assert (np.diff(mapped.astype(np.float64)) > 0).all() and (mapped > 0).all() and (mapped < 1).all()


def test_losses_and_crossed_probabilities_are_those_of_maps_without_the_group():
    scores, present, group = drawn(0.5, -1.0, count=200)
    found = calibrate(scores, present, group)
    crossed = np.empty(200)
    for held_out in range(10):
        out = group == held_out
        crossed[out] = fit(found.kind, scores[~out], present[~out])(scores[out])
    assert_allclose(found.crossed, crossed)
    assert found.losses[found.kind] == pytest.approx(log_loss(present, crossed))
    assert found.losses["none"] == pytest.approx(log_loss(present, scores), rel=1e-4)
    assert log_losses(np.array([0.0]), np.array([True]))[0] == pytest.approx(-np.log(1e-4))


def test_one_state_or_one_group_says_nothing():
    for present, group in ((np.ones(4, bool), [0, 1, 2, 3]), (np.array([True, False, True, False]), [0, 0, 0, 0])):
        found = calibrate(np.array([0.1, 0.2, 0.3, 0.4]), present, np.array(group))
        assert found.kind == "none" and np.isnan(found.losses["none"])
