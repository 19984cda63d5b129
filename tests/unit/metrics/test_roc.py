"""ROC-AUC against scikit-learn and against the count over pairs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from rfcx_ssl.metrics import roc_auc


@pytest.mark.parametrize("decimals", [None, 0], ids=["no ties", "many ties"])
@pytest.mark.parametrize("known_rate", [0.5, 1.0])
def test_equals_sklearn(decimals, known_rate):
    rng = np.random.default_rng(2)
    truth = rng.random((60, 5)) < 0.3
    scores = rng.normal(size=truth.shape) + truth
    scores = scores if decimals is None else scores.round(decimals)
    known = rng.random(truth.shape) < known_rate
    result = roc_auc(truth, scores, known)
    expected = [roc_auc_score(truth[known[:, s], s], scores[known[:, s], s]) for s in range(5)]
    assert_allclose(result.per_class, expected, rtol=1e-12)
    assert_allclose(result.macro, np.mean(expected), rtol=1e-12)
    assert_allclose(result.micro, roc_auc_score(truth[known], scores[known]), rtol=1e-12)


def test_a_tie_counts_one_half():
    assert roc_auc([[1], [0], [0]], [[0.5], [0.5], [0.1]]).macro == 0.75


def test_a_class_of_one_kind_is_nan_and_left_out_of_macro():
    result = roc_auc([[1, 1], [0, 1]], [[0.9, 0.1], [0.2, 0.3]])
    assert result.macro == 1.0 and np.isnan(result.per_class[1])
    assert np.isnan(roc_auc(np.ones((2, 1)), np.ones((2, 1))).micro)
