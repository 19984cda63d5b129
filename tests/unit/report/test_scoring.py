"""Gates and floors from scores whose order is known."""

import numpy as np
import pytest

from rfcx_ssl.metrics import lwlrap, prior_scale
from rfcx_ssl.report.scoring import Judge, Promise, best_system
from rfcx_ssl.species import rfcx_species

PREVALENCE = np.array(rfcx_species().prevalence)


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
    prior = judge.floors().prior
    heard = {"good": scores_of(judge, 4), "fair": scores_of(judge, 1), "deaf": scores_of(judge, 0)}
    raw = {name: judge.score(scores) for name, scores in heard.items()}
    scaled = {name: judge.score_scaled(scores) for name, scores in heard.items()}
    assert best_system(raw) == best_system(scaled) == "good"

    def gate(better, worse, required):
        return judge.gate(Promise(better, worse, required), raw, scaled, prior)

    over_prior, over_fair = gate("best", "prior", 0.1), gate("best", "fair", 0.03)
    assert over_prior.holds and over_fair.holds
    assert over_prior.margin.value == pytest.approx(scaled["good"].ranking.overall - prior.ranking.overall)
    assert over_prior.precision is None
    assert over_fair.margin.value == pytest.approx(raw["good"].ranking.overall - raw["fair"].ranking.overall)
    assert over_fair.precision.value == pytest.approx(raw["good"].precision.macro - raw["fair"].precision.macro)
    assert over_fair.margin.low < over_fair.margin.value < over_fair.margin.high
    assert not gate("deaf", "prior", 0.1).holds and not gate("fair", "good", 0.0).holds


def test_a_blind_model_with_prior_scaling_is_the_prior_floor(judge):
    blind = {"blind": judge.score_scaled(np.full(judge.truth.shape, 0.3))}
    prior = judge.floors().prior
    assert blind["blind"].ranking.overall == pytest.approx(prior.ranking.overall)
    assert judge.gate(Promise("blind", "prior", 0.05), {}, blind, prior).margin.value == pytest.approx(0.0)
