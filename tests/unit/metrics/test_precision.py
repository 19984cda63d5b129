"""Average precision against scikit-learn, on known cells."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, precision_recall_curve

from rfcx_ssl.metrics import average_precision, precision_recall


@pytest.mark.parametrize("decimals", [None, 0], ids=["no ties", "many ties"])
@pytest.mark.parametrize("known_rate", [0.5, 1.0])
def test_equals_sklearn(decimals, known_rate):
    rng = np.random.default_rng(1)
    truth = rng.random((60, 7)) < 0.2
    truth[:, 3] = False
    scores = rng.normal(size=truth.shape) + truth
    scores = scores if decimals is None else scores.round(decimals)
    known = rng.random(truth.shape) < known_rate
    result = average_precision(truth, scores, known)
    expected = np.full(7, np.nan)
    for s in (0, 1, 2, 4, 5, 6):
        expected[s] = average_precision_score(truth[known[:, s], s], scores[known[:, s], s])
    assert_allclose(result.per_class, expected, rtol=1e-12)
    assert_allclose(result.macro, np.nanmean(expected), rtol=1e-12)
    assert_allclose(result.micro, average_precision_score(truth[known], scores[known]), rtol=1e-12)


def test_no_positives_and_no_rows():
    for truth in (np.zeros((3, 2)), np.zeros((0, 2))):
        result = average_precision(truth, truth)
        assert np.isnan([result.macro, result.micro, *result.per_class]).all()
    assert average_precision([[1, 0]], [[0.1, 0.2]], [[1, 0]]).micro == 1.0


def test_constant_scores_give_the_prevalence():
    assert_allclose(average_precision([[1], [0], [0], [1]], np.ones((4, 1))).macro, 0.5)


@pytest.mark.parametrize("decimals", [None, 0], ids=["no ties", "many ties"])
def test_the_curve_is_sklearns_at_the_thresholds_that_add_a_positive(decimals):
    rng = np.random.default_rng(2)
    truth = rng.random(80) < 0.3
    scores = rng.normal(size=80) + truth
    scores = scores if decimals is None else scores.round(decimals)
    curve = precision_recall(truth, scores)
    points = [part[::-1] for part in precision_recall_curve(truth, scores)]  # sklearn's from the lowest threshold
    precision, recall, threshold = points[0][1:], points[1][1:], points[2]
    adds = np.diff(recall, prepend=0) > 0
    for ours, theirs in zip(curve, (threshold, precision, recall), strict=True):
        assert_allclose(ours, theirs[adds])
    area = np.sum(np.diff(curve.recall, prepend=0) * curve.precision)
    assert_allclose(area, average_precision(truth[:, None], scores[:, None]).macro)
    assert precision_recall(np.zeros(3), np.zeros(3)).threshold.size == 0
