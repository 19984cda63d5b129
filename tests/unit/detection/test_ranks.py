"""Ranks against scipy's."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.detection.ranks import combine_ranks, ranks, scores_by_rank


@given(seed=st.integers(0, 2**32 - 1), recordings=st.integers(1, 30), ties=st.integers(1, 40))
def test_equal_scores_share_the_mean_of_their_ranks(seed, recordings, ties):
    scores = np.random.default_rng(seed).integers(0, ties, (recordings, 4)) / ties
    expected = scipy.stats.rankdata(scores, method="average", axis=0)
    np.testing.assert_array_equal(ranks(scores.astype(np.float32)), expected)
    np.testing.assert_allclose(combine_ranks([scores]).mean(axis=0), 0.5)


@pytest.mark.parametrize("weights", [None, (3.0, 1.0)])
def test_models_weigh_what_they_are_told(weights):
    rng = np.random.default_rng(0)
    left, right = rng.random((2, 9, 5))
    share = 0.5 if weights is None else 0.75
    places = [(scipy.stats.rankdata(scores, axis=0) - 0.5) / 9 for scores in (left, right)]
    combined = combine_ranks([left, right], weights)
    np.testing.assert_allclose(combined, share * places[0] + (1 - share) * places[1])
    np.testing.assert_allclose(
        combined, combine_ranks([left**3, np.exp(right)], weights), err_msg="scales do not matter"
    )


def test_recordings_that_were_not_heard_have_no_rank_and_species_that_never_score_stay_at_zero():
    scores = np.random.default_rng(0).random((2, 9, 4))
    scores[1, 3] = np.nan
    scores[:, :, 2] = np.where(np.isnan(scores[:, :, 2]), np.nan, 0.0)
    found = scores_by_rank(scores, (1.0, 2.0))
    assert np.isnan(found[3]).all()
    others = np.delete(scores, 3, axis=1)
    places = [(scipy.stats.rankdata(of_model, axis=0) - 0.5) / 8 for of_model in others]
    expected = (places[0] + 2 * places[1]) / 3
    expected[:, 2] = 0
    np.testing.assert_allclose(np.delete(found, 3, axis=0), expected)
    assert np.isnan(scores_by_rank(np.full((2, 3, 4), np.nan))).all()


def test_species_keep_the_means_of_their_scores_and_the_order_of_their_ranks():
    scores = np.random.default_rng(0).random((3, 40, 4)) * [1.0, 0.1, 0.01, 0.0]
    found = scores_by_rank(scores, keep_means=True)
    np.testing.assert_allclose(found.mean(axis=0), scores.mean(axis=(0, 1)), atol=1e-9)
    plain = scores_by_rank(scores)
    for species in range(3):
        order = [scipy.stats.rankdata(scores[:, species]) for scores in (found, plain)]
        np.testing.assert_array_equal(*order)
