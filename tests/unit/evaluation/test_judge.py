"""Gates, floors, intervals and parts from scores whose order is known."""

import numpy as np
import pytest

from rfcx_ssl.evaluation.judge import FEWEST, Judge
from rfcx_ssl.metrics import (
    average_precision,
    lwlrap,
    match_prevalence,
    partial_auc,
    partial_lwlrap,
    partial_precision,
    random_average_precision,
    random_floor,
    rows_with_both,
)
from rfcx_ssl.report.gates import Promise, best_system, judge_promise
from rfcx_ssl.species import rfcx_species

PREVALENCE = np.array(rfcx_species().prevalence)


@pytest.fixture
def judge():
    truth = np.random.default_rng(0).random((60, 24)) < PREVALENCE
    return Judge(truth, PREVALENCE, resamples=100)


def scores_of(judge, strength, seed=1):
    noise = np.random.default_rng(seed).normal(size=judge.truth.shape)
    return 1 / (1 + np.exp(-(noise + strength * judge.truth - 2)))


def scaled_score(judge, scores):
    return judge.score(match_prevalence(scores, PREVALENCE))


def test_scaled_score_is_the_lwlrap_of_scaled_probabilities(judge):
    scores = scores_of(judge, 2)
    scaled = scaled_score(judge, scores)
    assert scaled.ranking.overall == lwlrap(judge.truth, match_prevalence(scores, PREVALENCE)).overall
    assert scaled.interval.low < scaled.ranking.overall < scaled.interval.high


def test_gates_hold_for_a_good_model_and_fail_for_a_deaf_one(judge):
    prior = judge.floors().prior
    heard = {"good": scores_of(judge, 4), "fair": scores_of(judge, 1), "deaf": scores_of(judge, 0)}
    raw = {name: judge.score(scores) for name, scores in heard.items()}
    scaled = {name: scaled_score(judge, scores) for name, scores in heard.items()}
    assert best_system(raw) == best_system(scaled) == "good"

    def gate(better, worse, required):
        return judge_promise(Promise(better, worse, required), raw, scaled, prior)

    over_prior, over_fair = gate("best", "prior", 0.1), gate("best", "fair", 0.03)
    assert over_prior.holds and over_fair.holds
    assert over_prior.margin.value == pytest.approx(scaled["good"].ranking.overall - prior.ranking.overall)
    assert over_prior.precision is None
    assert over_fair.margin.value == pytest.approx(raw["good"].ranking.overall - raw["fair"].ranking.overall)
    assert over_fair.precision.value == pytest.approx(raw["good"].precision.macro - raw["fair"].precision.macro)
    assert over_fair.margin.low < over_fair.margin.value < over_fair.margin.high
    assert not gate("deaf", "prior", 0.1).holds and not gate("fair", "good", 0.0).holds


def test_a_blind_model_with_prior_scaling_is_the_prior_floor(judge):
    blind = {"blind": scaled_score(judge, np.full(judge.truth.shape, 0.3))}
    prior = judge.floors().prior
    assert blind["blind"].ranking.overall == pytest.approx(prior.ranking.overall)
    assert judge_promise(Promise("blind", "prior", 0.05), {}, blind, prior).margin.value == pytest.approx(0.0)


def test_partly_known_scores_are_those_of_the_partial_metrics(judge):
    known = np.random.default_rng(5).random(judge.truth.shape) < 0.3
    partly = Judge(judge.truth, PREVALENCE, known=known)
    scores = scores_of(judge, 1)
    scored, arrays = partly.score(scores), (judge.truth & known, scores, known)
    assert scored.ranking.overall == partial_lwlrap(*arrays).overall
    np.testing.assert_array_equal(scored.precision.per_class, partial_precision(*arrays).per_class)
    assert scored.area.macro == partial_auc(*arrays).macro
    floors = partly.floors()
    assert (
        floors.random.overall == random_floor(judge.truth & known, rows_with_both(judge.truth & known, known)).overall
    )
    cells = partly.compared
    assert floors.random_map_micro == pytest.approx(
        random_average_precision((judge.truth & known)[cells][:, None]), rel=1e-12
    )


def test_what_cannot_be_wrong_is_not_judged():
    truth = np.array([[1, 1], [1, 0], [1, 1], [1, 0]], bool)
    scored = Judge(truth, np.array([0.5, 0.5])).score(np.full((4, 2), 0.9))
    assert np.isnan(scored.precision.per_class[0]) and np.isnan(scored.area.per_class[0])
    assert np.isnan(scored.decisions.precision[0]) and scored.decisions.precision[1] == 0.5
    alone = Judge(truth[:, 1:], np.array([0.5])).score(np.full((4, 1), 0.9))
    assert np.isnan(alone.ranking.overall) and np.isnan(alone.intervals("lwlrap")[0]).all()


def test_intervals_of_precision_lie_around_the_value_and_need_enough_rows():
    rng = np.random.default_rng(8)
    truth = rng.random((40, 6)) < (0.3, 0.3, 0.3, 0.2, 0.1, 0.05)
    judge = Judge(truth, np.full(6, 0.2), resamples=300)
    scored = judge.score(rng.normal(size=truth.shape) + 0.5 * truth)
    macro, pooled, *of_species = scored.intervals("map")
    drawn = []
    slow = np.random.default_rng(0)
    for _ in range(300):
        rows = slow.integers(40, size=40)
        drawn.append(average_precision(truth[rows], scored.scores[rows], judge.compared[rows]).macro)
    shift = scored.precision.macro - np.mean(drawn)
    assert shift < 0, "positives that are drawn twice flatter the draws"
    expected = np.quantile(np.array(drawn) + shift, [0.025, 0.975])
    assert (macro.low, macro.high) == pytest.approx(tuple(expected))
    assert macro.low < macro.value < macro.high and pooled.low < pooled.value < pooled.high
    counts = truth.sum(axis=0)
    assert counts.min() < FEWEST < counts.max()
    assert [np.isnan(interval.low) for interval in of_species] == (counts < FEWEST).tolist()


def test_a_part_has_its_own_rows_and_cells(judge):
    cells = np.zeros(judge.truth.shape, bool)
    cells[10:30, :5] = True
    part, scores = judge.within(cells), scores_of(judge, 1)
    whole = Judge(judge.truth[10:30, :5], PREVALENCE[:5], resamples=100)
    ours, theirs = part.score(scores[10:30]), whole.score(scores[10:30, :5])
    assert ours.ranking.overall == theirs.ranking.overall and ours.interval == theirs.interval
    assert ours.precision.macro == theirs.precision.macro
