"""Prior scaling against Bayes' rule by counting, and its invariants."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.optimize import brentq

from rfcx_ssl.metrics import estimate_prevalence, match_prevalence, prior_scale


def test_multiplies_the_odds_by_the_ratio_of_prevalence_odds():
    scores, p, q = np.array([[0.2, 0.5], [0.9, 0.1]]), np.array([0.9, 0.01]), np.array([0.5, 0.2])
    odds = scores / (1 - scores) * (p / (1 - p)) / (q / (1 - q))
    assert_allclose(prior_scale(scores, p, q), odds / (1 + odds), rtol=1e-12)


def test_known_change_of_prevalence_is_bayes_rule():
    likelihood_ratio = np.array([0.05, 0.7, 4.0])
    posterior = {q: q * likelihood_ratio / (q * likelihood_ratio + 1 - q) for q in (0.5, 0.03)}
    scaled = prior_scale(posterior[0.5][:, None], [0.03], train_prevalence=[0.5])
    assert_allclose(scaled[:, 0], posterior[0.03], rtol=1e-12)


def test_the_same_prevalence_changes_nothing():
    scores = np.random.default_rng(0).random((5, 3, 2))
    assert_allclose(prior_scale(scores, [0.3, 0.1], train_prevalence=[0.3, 0.1]), scores, rtol=1e-12)


def test_order_within_a_class_stays_and_extremes_are_finite():
    scores = np.linspace(0, 1, 11, dtype=np.float32)[:, None]
    for scaled in (prior_scale(scores, [0.004], [0.5]), match_prevalence(scores, [0.004])):
        assert np.isfinite(scaled).all() and (np.diff(scaled[:, 0]) > 0).all()
    for scale in (lambda p: prior_scale(scores, [p], [0.2]), lambda p: match_prevalence(scores, [p])):
        assert (scale(0.0) == 0).all() and (scale(1.0) == 1).all()


@given(
    arrays(np.float64, st.tuples(st.integers(1, 30), st.just(3)), elements=st.floats(0, 1)),
    arrays(np.float64, 3, elements=st.floats(1e-4, 1 - 1e-4)),
)
def test_the_mean_of_matched_probabilities_is_the_prevalence(scores, prevalence):
    matched = match_prevalence(scores, prevalence)
    assert_allclose(matched.mean(axis=0), prevalence, rtol=1e-9)
    for s in range(3):
        order = np.argsort(scores[:, s], kind="stable")
        assert (np.diff(matched[order, s]) >= 0).all()


def test_matching_is_prior_scaling_from_the_prevalence_that_em_takes_to_the_wanted_one():
    rng = np.random.default_rng(0)
    scores, prevalence = rng.beta(0.5, 2.0, (200, 2)), np.array([0.3, 0.02])
    trained = [  # the q whose scaled probabilities have the wanted mean, by another solver
        brentq(lambda q, s=s: prior_scale(scores[:, [s]], prevalence[[s]], [q]).mean() - prevalence[s], 1e-6, 1 - 1e-6)
        for s in range(2)
    ]
    assert_allclose(match_prevalence(scores, prevalence), prior_scale(scores, prevalence, trained), rtol=1e-6)
    assert_allclose(estimate_prevalence(scores, trained, tolerance=1e-12).prevalence, prevalence, rtol=1e-5)


def test_matching_mends_scores_that_are_wrong_by_a_factor_per_class():
    rng = np.random.default_rng(1)
    prevalence = np.array([0.5, 0.1])
    truth = rng.random((4000, 2)) < prevalence
    evidence = rng.normal(np.where(truth, 1.0, -1.0), 1.0)  # log likelihood ratio is twice this
    right = 1 / (1 + np.exp(-(2 * evidence + np.log(prevalence / (1 - prevalence)))))
    wrong = prior_scale(right, [0.2, 0.8], prevalence)
    assert np.abs(match_prevalence(wrong, prevalence) - right).max() < 0.03


@pytest.mark.parametrize(
    ("scores", "prevalence", "train", "message"),
    [
        ([[0.5, 0.5]], [0.1], 0.5, r"prevalence must have shape \(2,\)"),
        ([[1.5]], [0.1], 0.5, r"probabilities in \[0, 1\]"),
        ([[np.nan]], [0.1], 0.5, r"probabilities in \[0, 1\]"),
        ([[0.5]], [1.1], 0.5, r"prevalence must be in \[0, 1\]"),
        ([[0.5]], [0.5], [0.0], r"train_prevalence must be in \(0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(scores, prevalence, train, message):
    with pytest.raises(ValueError, match=message):
        prior_scale(scores, prevalence, train)
    if "train" not in message:
        with pytest.raises(ValueError, match=message):
            match_prevalence(scores, prevalence)


def test_matching_needs_recordings():
    with pytest.raises(ValueError, match=r"scores must have shape \(R, S\) with R above 0, got \(0, 2\)"):
        match_prevalence(np.empty((0, 2)), [0.1, 0.2])
