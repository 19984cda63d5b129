"""LWLRAP against scikit-learn and against the definition as a slow loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import label_ranking_average_precision_score

from rfcx_ssl.metrics import lwlrap


def lwlrap_by_definition(truth, scores, known):
    """For every positive: positives over labels among those scored at least as high. Means of those, in float64."""
    by_class = [[] for _ in range(truth.shape[1])]
    for row in range(truth.shape[0]):
        for label in range(truth.shape[1]):
            if not (truth[row, label] and known[row, label]):
                continue
            above = [s for s in range(truth.shape[1]) if known[row, s] and not (scores[row, s] < scores[row, label])]
            by_class[label].append(sum(bool(truth[row, s]) for s in above) / len(above))
    every = [value for values in by_class for value in values]
    per_class = [np.mean(values) if values else np.nan for values in by_class]
    return np.mean(every) if every else np.nan, np.array(per_class)


def draw(seed, recordings=40, classes=24, rate=0.13, decimals=None, known_rate=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.random((recordings, classes)) < rate
    scores = rng.normal(size=(recordings, classes)) + truth
    if decimals is not None:
        scores = scores.round(decimals)
    return truth, scores, rng.random((recordings, classes)) < known_rate


@pytest.mark.parametrize("decimals", [None, 0], ids=["no ties", "many ties"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_sklearn_weighted_by_positives(seed, decimals):
    truth, scores, _ = draw(seed, decimals=decimals)
    count = truth.sum(axis=1)
    kept = count > 0  # scikit-learn scores a row without positives as 1: here it does not count
    expected = label_ranking_average_precision_score(truth[kept], scores[kept], sample_weight=count[kept])
    assert_allclose(lwlrap(truth, scores).overall, expected, rtol=1e-12)


@pytest.mark.parametrize("known_rate", [0.0, 0.1, 0.6, 1.0])
@pytest.mark.parametrize("decimals", [None, 0])
def test_equals_the_definition_on_known_cells(known_rate, decimals):
    truth, scores, known = draw(5, decimals=decimals, known_rate=known_rate)
    result = lwlrap(truth, scores, known)
    overall, per_class = lwlrap_by_definition(truth, scores, known)
    assert_allclose(result.overall, overall, rtol=1e-12)
    assert_allclose(result.per_class, per_class, rtol=1e-12)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1), recordings=st.integers(0, 8), classes=st.integers(1, 6), known_rate=st.floats(0, 1)
)
def test_properties(seed, recordings, classes, known_rate):
    truth, scores, known = draw(seed, recordings, classes, rate=0.4, decimals=1, known_rate=known_rate)
    result = lwlrap(truth, scores, known)
    positives = (truth & known).sum(axis=0)
    if not positives.any():
        assert np.isnan(result.overall) and not result.weight.any() and np.isnan(result.per_class).all()
        return
    assert_allclose(result.weight, positives / positives.sum())
    assert_allclose(np.nansum(result.per_class * result.weight), result.overall)
    columns = np.random.default_rng(seed).permutation(classes)
    shuffled = lwlrap(truth[:, columns], scores[:, columns], known[:, columns])
    assert_allclose(shuffled.per_class, result.per_class[columns])  # ties do not depend on column order
    assert_allclose(lwlrap(truth, np.exp(3 * scores), known).overall, result.overall)  # a ranking metric
    hidden = np.where(known, scores, np.nan)
    assert lwlrap(truth, hidden, known).overall == result.overall  # unknown scores are not looked at
    assert lwlrap(truth, truth.astype(float), known).overall == 1.0


def test_hand_made_example():
    truth = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]])
    scores = np.array([[0.9, 0.8, 0.1, 0.0], [0.5, 0.5, 0.5, 0.1], [0.3, 0.2, 0.1, 0.0]])
    result = lwlrap(truth, scores)
    assert_allclose(result.per_class, [1.0, 1 / 3, 2 / 3, np.nan])  # class 1 is tied with two others: worst rank
    assert_allclose(result.overall, (1 + 1 / 3 + 2 / 3) / 3)
    assert_allclose(result.weight, [1 / 3, 1 / 3, 1 / 3, 0])


def test_infinite_scores_rank_first_and_last():
    result = lwlrap([[1, 1, 0]], [[np.inf, -np.inf, 0.0]])
    assert_allclose(result.per_class, [1.0, 2 / 3, np.nan])


@pytest.mark.parametrize(
    ("truth", "scores", "known", "message"),
    [
        ([[1, 0]], [[0.1, np.nan]], None, "1 known scores are NaN, first at row 0, column 1"),
        ([[1, 0.5]], [[0.1, 0.2]], None, "truth must hold 0 and 1 only, got"),
        ([[1, 0]], [[0.1, 0.2]], [[1, 0.3]], "known must hold 0 and 1 only, got"),
        ([[1, 0]], [[0.1]], None, r"one shape \(R, S\)"),
        ([1, 0], [0.1, 0.2], None, r"one shape \(R, S\)"),
    ],
)
def test_wrong_arguments_are_named(truth, scores, known, message):
    with pytest.raises(ValueError, match=message):
        lwlrap(truth, scores, known)
