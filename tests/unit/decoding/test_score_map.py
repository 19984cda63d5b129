"""Maps of probabilities against scikit-learn and slow loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.metrics import match_prevalence, matching_shift, prior_scale, prior_shift

EDGES = [0.0, 1e-9, 1e-4, 0.5, 1 - 1e-4, 1.0]


def loop(scores, slope, offset, knots):
    """One probability after the other, in plain floats."""
    mapped = np.empty(scores.shape)
    for place in np.ndindex(scores.shape):
        species, p = place[-1], float(scores[place])
        if species in knots:
            p = between(p, *knots[species])
        if slope[species] != 1 or offset[species] != 0:
            p = min(max(p, 1e-7), 1 - 1e-7)
            logit = slope[species] * math.log(p / (1 - p)) + offset[species]
            p = 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0
        mapped[place] = p
    return mapped


def between(p, xs, ys):
    if p <= xs[0]:
        return ys[0]
    for x0, x1, y0, y1 in zip(xs, xs[1:], ys, ys[1:], strict=False):
        if p <= x1:
            return y0 + (y1 - y0) * (p - x0) / (x1 - x0)
    return ys[-1]


@pytest.mark.parametrize("shape", [(4,), (7, 4), (2, 5, 4), (0, 4)])
def test_every_species_has_its_own_map(shape):
    slope, offset = [1.0, 0.4, 1.0, 3.0], [0.0, 1.0, -2.0, -np.inf]
    knots = {0: ([0.2, 0.3, 0.9], [0.0, 0.5, 0.8]), 2: ([0.5], [0.25])}
    scores = np.random.default_rng(0).random(shape, dtype=np.float32)
    mapped = ScoreMap(slope, offset, {species: Knots(*own) for species, own in knots.items()})(scores)
    assert mapped.dtype == np.float32 and mapped.shape == shape
    assert_allclose(mapped, loop(scores, slope, offset, knots), atol=2e-7)


@given(
    slope=st.floats(0.05, 20),
    offset=st.floats(-20, 20),
    scores=st.lists(st.sampled_from(EDGES) | st.floats(0, 1), min_size=2, max_size=20),
)
def test_the_order_never_turns_round_and_ends_are_probabilities(slope, offset, scores):
    column = np.sort(np.array(scores, np.float32))[:, None]
    mapped = ScoreMap([slope], [offset], {0: Knots([0.1, 0.5, 0.6], [0.0, 0.4, 1.0])})(column)
    assert (np.diff(mapped[:, 0]) >= 0).all() and ((mapped >= 0) & (mapped <= 1)).all()


def test_identity_changes_not_a_bit():
    scores = np.array([EDGES], np.float32)
    assert_array_equal(ScoreMap.identity(6)(scores), scores)


def test_what_is_given_stays_as_it_was():
    scores = np.full((3, 2), 0.3, np.float32)
    mapped = ScoreMap([1.0, 2.0], [0.0, 0.0])(scores)
    assert (scores == np.float32(0.3)).all() and (mapped[:, 0] == np.float32(0.3)).all() and mapped[0, 1] < 0.2


def test_isotonic_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    scores = rng.random(300)
    fitted = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(scores, rng.random(300) < scores**2)
    new = rng.random((500, 1)).astype(np.float32)
    mapped = ScoreMap([1.0], [0.0], {0: Knots(fitted.X_thresholds_, fitted.y_thresholds_)})(new)
    assert_allclose(mapped[:, 0], fitted.predict(new[:, 0]), atol=1e-6)


def test_platt_is_logistic_regression_of_the_logit():
    rng = np.random.default_rng(2)
    scores = rng.uniform(0.01, 0.99, 400)
    logits = np.log(scores / (1 - scores))[:, None]
    fitted = LogisticRegression(C=1e6).fit(logits, rng.random(400) < scores**2)
    mapped = ScoreMap(fitted.coef_[0], fitted.intercept_)(scores[:, None])
    assert_allclose(mapped[:, 0], fitted.predict_proba(logits)[:, 1], atol=1e-6)


def test_a_shift_is_prior_scaling():
    scores, p, q = np.random.default_rng(3).random((50, 3)), [0.0, 0.02, 0.7], [0.2, 0.3, 0.1]
    assert_allclose(ScoreMap.identity(3).shifted(prior_shift(p, q))(scores), prior_scale(scores, p, q), atol=1e-6)
    matched = ScoreMap.identity(3).shifted(matching_shift(scores, p))(scores)
    assert_allclose(matched, match_prevalence(scores, p), atol=1e-6)


def test_a_shift_after_a_calibration_is_one_map():
    scores = np.random.default_rng(4).random((50, 2), dtype=np.float32)
    calibration = ScoreMap([0.7, 1.0], [0.5, 0.0], {1: Knots([0.0, 0.6], [0.1, 0.9])})
    shift = np.array([-1.0, 2.0])
    assert_allclose(calibration.shifted(shift)(scores), ScoreMap([1, 1], shift)(calibration(scores)), atol=1e-6)
    assert calibration.shifted(shift).shifted(-shift).offset.tolist() == [0.5, 0.0]


def test_never_is_never_whatever_else_is_known():
    always, never = [np.inf], [-np.inf]
    for order in ((always, never), (never, always), (never, never)):
        mapped = ScoreMap([1.0], [0.0]).shifted(order[0]).shifted(order[1])
        assert mapped(np.array([[0.0], [1.0]])).tolist() == [[0.0], [0.0]]
    assert ScoreMap([1.0], [0.0]).shifted(always)(
        np.array(
            [
                [
                    1e-6,
                ]
            ]
        )
    ).tolist() == [[1.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (([0.0], [0.0]), "slope must be finite and above 0"),
        (([np.inf], [0.0]), "slope must be finite and above 0"),
        (([1.0], [np.nan]), "offset must not be NaN"),
        (([1.0], [0.0, 0.0]), "one value per species"),
        (([1.0], [0.0], {1: Knots([0.5], [0.5])}), "knots of species 1, of 1"),
    ],
)
def test_maps_without_a_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        ScoreMap(*values)


@pytest.mark.parametrize(
    ("scores", "probabilities", "message"),
    [
        ([], [], "scores must be a list of numbers"),
        ([0.1, 1.1], [0.0, 1.0], "scores must be a list of numbers in"),
        ([0.1, np.nan], [0.0, 1.0], "scores must be a list of numbers in"),
        ([0.1, 0.1], [0.0, 1.0], "scores must increase"),
        ([0.1, 0.2], [0.5, 0.4], "probabilities must not decrease"),
        ([0.1], [0.5, 0.6], "1 scores and 2 probabilities"),
    ],
)
def test_knots_without_a_meaning_are_refused(scores, probabilities, message):
    with pytest.raises(ValueError, match=message):
        Knots(scores, probabilities)


def test_scores_of_another_number_of_species_are_refused():
    with pytest.raises(ValueError, match=r"must have shape \(..., 2\), got \(5, 3\)"):
        ScoreMap.identity(2)(np.zeros((5, 3)))
