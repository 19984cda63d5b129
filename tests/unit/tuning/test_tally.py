"""Counts of candidates against loops and scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import fbeta_score, precision_score, recall_score

from rfcx_ssl.decoding.settings import PARAMETERS, USED_BY
from rfcx_ssl.tuning.tally import SHAPES, THRESHOLDS, Counts, candidates, count_scores


def test_every_threshold_counts_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    present, group = rng.random(200) < 0.3, rng.integers(0, 4, 200)
    scores = np.clip(rng.random(200) * 0.6 + 0.3 * present, 0, 1)
    scores[:5] = THRESHOLDS[[0, 10, 28, 40, 56]]  # a score at a threshold reaches it
    tally = count_scores(scores, present, group, 4)
    for groups in (np.ones(4, bool), np.array([True, False, True, False])):
        counts, inside = tally.on(groups), groups[group]
        for place, threshold in enumerate(THRESHOLDS):
            found = scores[inside] >= threshold
            assert counts.hits[place] == (found & present[inside]).sum()
            assert counts.false[place] == (found & ~present[inside]).sum()
            if found.any():
                assert counts.precision[place] == pytest.approx(precision_score(present[inside], found))
            assert counts.recall[place] == pytest.approx(recall_score(present[inside], found))
            for beta in (0.5, 1.0, 2.0):
                assert counts.f(beta)[place] == pytest.approx(fbeta_score(present[inside], found, beta=beta))


def test_what_cannot_be_said_is_nan():
    counts = Counts(np.array([0, 0]), np.array([0, 3]), there=0, hours=0.0)
    assert np.isnan(counts.precision[0]) and counts.precision[1] == 0
    assert np.isnan(counts.recall).all() and np.isnan(counts.f(1)).all() and np.isnan(counts.false_per_hour).all()
    assert Counts(np.array([1]), np.array([6]), 2, 3.0).false_per_hour.tolist() == [2.0]


def test_candidates_are_blocks_of_thresholds_the_defaults_first():
    size = len(THRESHOLDS)
    for decoder, shapes in SHAPES.items():
        grid = candidates(shapes)
        keys = ("threshold", *shapes)
        assert set(keys) == {*USED_BY[decoder]} - {"low_threshold", "merge_gap_s"}
        assert {key: grid[0][key] for key in shapes} == {key: PARAMETERS[key].default for key in shapes}
        assert len({tuple(c.values()) for c in grid}) == len(grid) == size * np.prod([len(v) for v in shapes.values()])
        for block in range(len(grid) // size):
            assert [c["threshold"] for c in grid[block * size : (block + 1) * size]] == THRESHOLDS.tolist()
