"""Prior scaling against Bayes' rule by counting, and its invariants."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfcx_ssl.metrics import prior_scale


def test_multiplies_the_odds_by_the_prevalence():
    scores = np.array([[0.2, 0.5], [0.9, 0.1]])
    scaled = prior_scale(scores, [0.9, 0.01])
    odds = scores / (1 - scores) * [0.9, 0.01]
    assert_allclose(scaled, odds / (1 + odds), rtol=1e-12)


def test_known_change_of_prevalence_is_bayes_rule():
    likelihood_ratio = np.array([0.05, 0.7, 4.0])
    posterior = {q: q * likelihood_ratio / (q * likelihood_ratio + 1 - q) for q in (0.5, 0.03)}
    scaled = prior_scale(posterior[0.5][:, None], [0.03], train_prevalence=[0.5])
    assert_allclose(scaled[:, 0], posterior[0.03], rtol=1e-12)


def test_same_prevalence_or_alpha_zero_changes_nothing():
    scores = np.random.default_rng(0).random((5, 3, 2))
    assert_allclose(prior_scale(scores, [0.3, 0.1], train_prevalence=[0.3, 0.1]), scores, rtol=1e-12)
    assert_allclose(prior_scale(scores, [0.3, 0.0], alpha=0.0), scores, rtol=1e-12)


def test_alpha_is_the_power_of_the_factor():
    twice = prior_scale(prior_scale([[0.4]], [0.2]), [0.2])
    assert_allclose(prior_scale([[0.4]], [0.2], alpha=2.0), twice, rtol=1e-12)


def test_order_within_a_class_stays_and_extremes_are_finite():
    scores = np.linspace(0, 1, 11, dtype=np.float32)[:, None]
    scaled = prior_scale(scores, [0.004])
    assert np.isfinite(scaled).all() and (np.diff(scaled[:, 0]) > 0).all()
    assert (prior_scale(scores, [0.0]) == 0).all()


@pytest.mark.parametrize(
    ("scores", "prevalence", "train", "message"),
    [
        ([[0.5, 0.5]], [0.1], None, r"prevalence must have shape \(2,\)"),
        ([[1.5]], [0.1], None, r"probabilities in \[0, 1\]"),
        ([[np.nan]], [0.1], None, r"probabilities in \[0, 1\]"),
        ([[0.5]], [1.1], None, r"prevalence must be in \[0, 1\]"),
        ([[0.5]], [1.0], [0.5], r"prevalence must be in \(0, 1\)"),
        ([[0.5]], [0.5], [0.0], r"train_prevalence must be in \(0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(scores, prevalence, train, message):
    with pytest.raises(ValueError, match=message):
        prior_scale(scores, prevalence, train)
