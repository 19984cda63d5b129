"""F1 against scikit-learn and against trying every threshold; pooling against a slow loop and the event metrics."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import f1_score as sklearn_f1
from sklearn.metrics import precision_score, recall_score

from rfcx_ssl.metrics.events import event_metrics
from rfcx_ssl.metrics.f1 import best_f1, decisions, f1_score, pool_segments


def draw(seed=0, rows=60, known_rate=1.0):
    rng = np.random.default_rng(seed)
    truth = rng.random((rows, 4)) < 0.3
    truth[:, 2] = False
    scores = (rng.random(truth.shape) + 0.4 * truth).clip(0, 1).round(2)
    return truth, scores, rng.random(truth.shape) < known_rate


@pytest.mark.parametrize("known_rate", [0.4, 1.0])
def test_equals_sklearn_on_known_cells(known_rate):
    truth, scores, known = draw(known_rate=known_rate)
    result = f1_score(truth, scores, known, threshold=0.6)
    for s in (0, 1, 3):
        expected = sklearn_f1(truth[known[:, s], s], scores[known[:, s], s] >= 0.6)
        assert_allclose(result.per_class[s], expected)
    assert np.isnan(result.per_class[2])
    assert_allclose(result.macro, np.nanmean(result.per_class))
    assert_allclose(result.micro, sklearn_f1(truth[known], scores[known] >= 0.6))


@pytest.mark.parametrize("known_rate", [0.4, 1.0])
def test_precision_and_recall_equal_sklearns(known_rate):
    truth, scores, known = draw(3, known_rate=known_rate)
    threshold = np.array([0.6, 0.3, 0.5, 2.0])
    result = decisions(truth, scores, known, threshold)
    for s in (0, 1):
        cells = truth[known[:, s], s], scores[known[:, s], s] >= threshold[s]
        assert_allclose(result.precision[s], precision_score(*cells))
        assert_allclose(result.recall[s], recall_score(*cells))
    pooled = truth[known], (scores >= threshold)[known]
    assert_allclose([result.precision[4], result.recall[4]], [precision_score(*pooled), recall_score(*pooled)])
    assert np.isnan(result.recall[2]) and result.precision[2] == 0.0, "detections of a species that is never there"
    assert np.isnan(result.precision[3]) and result.recall[3] == 0.0, "nothing reaches 2"


def test_best_is_the_maximum_over_all_thresholds():
    truth, scores, known = draw(1, known_rate=0.7)
    result = best_f1(truth, scores, known)
    for s in (0, 1, 3):
        tried = [f1_score(truth, scores, known, threshold=t).per_class[s] for t in np.unique(scores[known[:, s], s])]
        assert_allclose(result.per_class[s], max(tried))
        assert_allclose(f1_score(truth, scores, known, result.threshold).per_class[s], result.per_class[s])
    assert np.isnan(result.per_class[2]) and np.isnan(result.threshold[2])


def test_pooling_by_definition():
    rng = np.random.default_rng(2)
    known = (rng.random((23, 2)) < 0.8).astype(float)
    target = (rng.random((23, 2)) < 0.2) * known
    scores = rng.random((23, 2))
    pooled = pool_segments(target, known, scores, 5)
    assert pooled.truth.shape == (5, 2)
    for segment in range(5):
        part = slice(segment * 5, segment * 5 + 5)
        for s in range(2):
            present = any(t and k for t, k in zip(target[part, s], known[part, s], strict=True))
            assert pooled.truth[segment, s] == present
            assert pooled.known[segment, s] == (present or all(known[part, s]))
            assert pooled.scores[segment, s] == scores[part, s].max()
    with pytest.raises(ValueError, match="frames >= 1"):
        pool_segments(target, known, scores, 0)


def test_labels_count_as_yes_from_one_half_on():
    half, below = np.full((2, 1), 0.5), np.full((2, 1), np.nextafter(0.5, 0))
    scores = np.zeros((2, 1))
    assert pool_segments(half, half, scores, 2)[:2] == (True, True)
    assert pool_segments(below, half, scores, 2)[:2] == (False, True)
    assert pool_segments(half, below, scores, 2)[:2] == (False, False)


def test_segment_f1_of_complete_labels_equals_sed_scores_eval():
    rng = np.random.default_rng(3)
    scores = np.repeat(rng.random((20, 2)), 5, axis=0)
    calls = [(0.5, 2.3, 0), (7.0, 7.6, 0), (4.0, 9.0, 1)]
    target = np.zeros((100, 2))
    for start, end, species in calls:
        target[round(start * 10) : round(end * 10), species] = 1
    pooled = pool_segments(target, np.ones((100, 2)), scores, 10)
    expected = event_metrics([scores], [calls], [10.0], 0.1)
    assert_allclose(f1_score(pooled.truth, pooled.scores, pooled.known).per_class, expected.segment_f1.per_class)
    assert_allclose(best_f1(pooled.truth, pooled.scores, pooled.known).macro, expected.segment_f1_best.macro)
