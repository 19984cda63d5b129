"""Cells without an opponent do not count: against slow loops, and where nothing is left."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, label_ranking_average_precision_score, roc_auc_score

from rfcx_ssl.metrics import (
    average_precision,
    columns_with_both,
    lwlrap,
    partial_auc,
    partial_lwlrap,
    partial_precision,
    roc_auc,
    rows_with_both,
)


def random_labels(seed, shape=(40, 6)):
    rng = np.random.default_rng(seed)
    known = rng.random(shape) < rng.random((shape[0], 1))
    return rng.random(shape) < 0.4, rng.random(shape), known


@pytest.mark.parametrize("seed", range(5))
def test_masks_equal_a_slow_loop(seed):
    truth, _, known = random_labels(seed, (12, 5))
    rows, columns = rows_with_both(truth, known), columns_with_both(truth, known)
    for r, s in np.ndindex(known.shape):
        row = [bool(truth[r, k]) for k in range(5) if known[r, k]]
        column = [bool(truth[k, s]) for k in range(12) if known[k, s]]
        assert rows[r, s] == (known[r, s] and True in row and False in row)
        assert columns[r, s] == (known[r, s] and True in column and False in column)


@pytest.mark.parametrize("seed", range(5))
def test_metrics_equal_sklearn_on_what_has_an_opponent(seed):
    truth, scores, known = random_labels(seed)
    known[:, 2] &= truth[:, 2]  # a species that is only ever known to be present
    total, positives = 0.0, 0
    for row in range(len(truth)):
        cells = known[row]
        if 0 < truth[row, cells].sum() < cells.sum():
            count = truth[row, cells].sum()
            total += count * label_ranking_average_precision_score(truth[row, cells][None], scores[row, cells][None])
            positives += count
    assert partial_lwlrap(truth, scores, known).overall == pytest.approx(total / positives)
    columns = [(truth[known[:, s], s], scores[known[:, s], s]) for s in (0, 1, 3, 4, 5)]
    precision, area = partial_precision(truth, scores, known), partial_auc(truth, scores, known)
    assert precision.macro == pytest.approx(np.mean([average_precision_score(*column) for column in columns]))
    assert area.macro == pytest.approx(np.mean([roc_auc_score(*column) for column in columns]))
    assert np.isnan(precision.per_class[2]) and np.isnan(area.per_class[2])


def test_positives_alone_are_not_perfect_but_unknown():
    truth, scores, _ = random_labels(0)
    assert lwlrap(truth, scores, truth).overall == 1.0  # whatever the scores
    assert average_precision(truth, scores, truth).macro == 1.0
    for value in (partial_lwlrap(truth, scores, truth).overall, *partial_precision(truth, scores, truth)[:2]):
        assert np.isnan(value)
    assert np.isnan(partial_auc(truth, scores, truth).macro)


def test_complete_labels_are_judged_as_ever():
    truth, scores, _ = random_labels(3)
    truth[:, 0], truth[:, 1] = ~truth[:, 1], truth[:, 1]  # every row has both kinds
    assert partial_lwlrap(truth, scores).overall == lwlrap(truth, scores).overall
    assert partial_precision(truth, scores).macro == average_precision(truth, scores).macro
    assert partial_auc(truth, scores).micro == roc_auc(truth, scores).micro
