"""Gates and floors from scores whose order is known."""

import numpy as np
import pytest

from rfcx_ssl.metrics import lwlrap, prior_scale
from rfcx_ssl.report.scoring import Judge, best_system, demo_gates
from rfcx_ssl.species import rfcx_prevalence

PREVALENCE = np.array(rfcx_prevalence())


@pytest.fixture
def judge():
    truth = np.random.default_rng(0).random((60, 24)) < PREVALENCE
    return Judge(truth, PREVALENCE, resamples=100)


def scores_of(judge, strength, seed=1):
    noise = np.random.default_rng(seed).normal(size=judge.truth.shape)
    return 1 / (1 + np.exp(-(noise + strength * judge.truth - 2)))


def test_scaled_score_is_the_lwlrap_of_scaled_probabilities(judge):
    scores = scores_of(judge, 2)
    scaled = judge.score_scaled(scores)
    assert scaled.ranking.overall == lwlrap(judge.truth, prior_scale(scores, PREVALENCE)).overall
    assert scaled.interval.low < scaled.ranking.overall < scaled.interval.high


def test_gates_hold_for_a_good_model_and_fail_for_a_deaf_one(judge):
    floors = judge.floors()
    scaled = {name: judge.score_scaled(scores_of(judge, s)) for name, s in (("good", 4), ("fair", 1), ("deaf", 0))}
    assert best_system(scaled) == "good"
    over_prior, over_random = demo_gates(judge, floors, scaled, "good", "fair")
    assert over_prior.holds and over_random.holds
    expected = scaled["good"].ranking.overall - floors.prior.ranking.overall
    assert over_prior.margin.value == pytest.approx(expected)
    assert over_prior.required == 0.05 and over_random.required == 0.02
    deaf_gates = demo_gates(judge, floors, {"deaf": scaled["deaf"]}, None, None)
    assert len(deaf_gates) == 1 and not deaf_gates[0].holds
    assert not demo_gates(judge, floors, scaled, "fair", "good")[1].holds


def test_a_blind_model_with_prior_scaling_is_the_prior_floor(judge):
    blind = judge.score_scaled(np.full(judge.truth.shape, 0.3))
    floor = judge.floors().prior
    assert blind.ranking.overall == pytest.approx(floor.ranking.overall)
    assert judge.gate("", blind, floor, 0.05).margin.value == pytest.approx(0.0)
