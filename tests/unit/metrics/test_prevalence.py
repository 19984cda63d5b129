"""EM for prevalences against a slow loop, a closed form, another maximizer, and the truth it was drawn with."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose
from scipy.optimize import minimize_scalar

from rfcx_ssl.metrics import estimate_prevalence


def calibrated(rng, recordings, prevalence, trained):
    """Scores (R,) that are calibrated under ``trained``, of recordings drawn under ``prevalence``."""
    present = rng.random(recordings) < prevalence
    log_ratio = 2 * rng.normal(np.where(present, 1.0, -1.0), 1.0)
    return 1 / (1 + np.exp(-(log_ratio + np.log(trained / (1 - trained)))))


def test_the_planted_prevalence_is_found():
    rng = np.random.default_rng(0)
    planted, trained = np.array([0.02, 0.15, 0.5, 0.92]), np.array([0.15, 0.5, 0.3, 0.15])
    scores = np.column_stack([calibrated(rng, 20_000, p, q) for p, q in zip(planted, trained, strict=True)])
    found = estimate_prevalence(scores, trained)
    assert found.converged.all() and found.steps < 1000
    assert np.abs(found.prevalence - planted).max() < 0.012
    assert np.abs(scores.mean(axis=0) - planted).min() > 0.02  # the mean score is no such estimate


def test_equals_a_slow_loop():
    rng = np.random.default_rng(1)
    scores, trained = rng.beta(0.4, 0.9, (50, 3)), [0.1, 0.4, 0.7]
    found = estimate_prevalence(scores, trained)
    for s in range(3):
        q = p = trained[s]
        while True:
            posteriors = []
            for score in scores[:, s]:
                present, absent = score * p / q, (1 - score) * (1 - p) / (1 - q)
                posteriors.append(present / (present + absent))
            before, p = p, sum(posteriors) / len(posteriors)
            if abs(p - before) <= 1e-6:
                break
        assert found.prevalence[s] == pytest.approx(p, rel=1e-9)


@pytest.mark.parametrize("high", [3, 20, 35])
def test_scores_of_two_kinds_have_a_closed_form(high):
    """With m scores a and n scores b the likelihood's derivative is linear in p."""
    a, b, q, low = 0.9, 0.05, 0.3, 40 - high
    found = estimate_prevalence(np.array([[a]] * high + [[b]] * low), q, tolerance=1e-12).prevalence[0]
    up, down = a / q - (1 - a) / (1 - q), b / q - (1 - b) / (1 - q)  # d/dp of the two mixture densities
    expected = -(high * up * (1 - b) / (1 - q) + low * down * (1 - a) / (1 - q)) / (40 * up * down)
    assert found == pytest.approx(min(max(expected, 0.0), 1.0), abs=1e-7)


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.float64, st.tuples(st.integers(2, 25), st.just(2)), elements=st.floats(0, 1)),
    st.floats(0.05, 0.95),
)
def test_it_is_the_maximum_of_the_likelihood(scores, trained):
    found = estimate_prevalence(scores, trained, tolerance=1e-9, max_steps=100_000)
    assert ((found.prevalence >= 0) & (found.prevalence <= 1)).all()
    clipped = np.clip(scores, 1e-7, 1 - 1e-7)

    def loss(p, s):
        return -np.log(p * clipped[:, s] / trained + (1 - p) * (1 - clipped[:, s]) / (1 - trained)).sum()

    for s in np.flatnonzero(found.converged):
        best = minimize_scalar(loss, bounds=(0, 1), args=(s,), method="bounded", options={"xatol": 1e-10})
        assert loss(found.prevalence[s], s) <= best.fun + 1e-4


def test_certain_scores_are_counted_and_one_sided_ones_end_at_a_bound():
    certain = np.array([[1.0]] * 3 + [[0.0]] * 7)
    assert_allclose(estimate_prevalence(certain, 0.5).prevalence, 0.3, atol=1e-5)
    assert estimate_prevalence(np.full((5, 1), 0.9), 0.2).prevalence[0] > 0.9999
    assert estimate_prevalence(np.full((5, 1), 0.1), 0.2).prevalence[0] < 1e-4


def test_a_class_that_still_moves_is_told():
    scores = np.column_stack([np.full(10, 0.5), np.linspace(0.01, 0.6, 10)])
    found = estimate_prevalence(scores, [0.5, 0.2], max_steps=3)
    assert found.converged.tolist() == [True, False] and found.steps == 3


@pytest.mark.parametrize(
    ("scores", "trained", "message"),
    [
        (np.empty((0, 2)), 0.5, r"shape \(R, S\) with R above 0"),
        ([[1.5]], 0.5, r"probabilities in \[0, 1\]"),
        ([[0.5]], 0.0, r"train_prevalence must be in \(0, 1\)"),
    ],
)
def test_wrong_arguments_are_named(scores, trained, message):
    with pytest.raises(ValueError, match=message):
        estimate_prevalence(scores, trained)
