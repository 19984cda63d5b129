"""The closed forms of the random floors against means over many random rankings."""

import numpy as np
from numpy.testing import assert_allclose

from rfcx_ssl.metrics import average_precision, lwlrap, prior_floor, random_average_precision, random_floor
from rfcx_ssl.species import rfcx_species


def draw_truth(recordings=50):
    rng = np.random.default_rng(3)
    truth = rng.random((recordings, 24)) < rfcx_species().prevalence
    return truth, rng.random(truth.shape) < 0.7, rng


def test_random_floor_is_the_mean_over_random_rankings():
    truth, known, rng = draw_truth()
    for mask in (None, known):
        draws = [lwlrap(truth, rng.random(truth.shape), mask).overall for _ in range(1500)]
        error = 4 * np.std(draws) / np.sqrt(len(draws))
        assert abs(random_floor(truth, mask).overall - np.mean(draws)) < error < 0.005


def test_random_average_precision_is_the_mean_over_random_scores():
    truth, known, rng = draw_truth(30)
    for mask in (None, known):
        draws = [average_precision(truth, rng.random(truth.shape), mask).macro for _ in range(600)]
        error = 4 * np.std(draws) / np.sqrt(len(draws))
        assert abs(random_average_precision(truth, mask) - np.mean(draws)) < error < 0.02


def test_prior_floor_ranks_every_recording_alike():
    truth, known, _ = draw_truth()
    prevalence = np.array(rfcx_species().prevalence)
    expected = lwlrap(truth, np.tile(prevalence, (len(truth), 1)), known)
    result = prior_floor(truth, prevalence, known)
    assert_allclose(result.per_class, expected.per_class)
    assert result.overall > random_floor(truth, known).overall + 0.2


def test_one_label_or_none():
    assert random_floor([[1]]).overall == 1.0
    assert random_floor([[1, 1, 1]]).overall == 1.0
    assert_allclose(random_floor([[1, 0, 0]]).overall, (1 + 1 / 2 + 1 / 3) / 3)
    assert np.isnan(random_floor(np.zeros((2, 3))).overall)
    assert np.isnan(random_average_precision(np.zeros((2, 3))))
    assert np.isnan(random_floor(np.zeros((0, 3))).overall)
