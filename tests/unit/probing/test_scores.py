"""Scores of judged frames against scikit-learn, and the interval against drawing recordings one by one."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from rfcx_ssl.metrics import bootstrap_interval, partial_precision
from rfcx_ssl.metrics.bootstrap import Interval
from rfcx_ssl.probing.scores import Held, difference, floors, score, verdict, weighted_precision

FRAMES, OUTPUTS, RECORDINGS = 120, 5, 9


@pytest.fixture
def rng():
    return np.random.default_rng(5)


@pytest.fixture
def held(rng):
    """Partial labels: output 3 has no absent frame and output 4 is never known; recordings 40 to 48 of many."""
    truth = rng.random((FRAMES, OUTPUTS)) < 0.3
    known = rng.random((FRAMES, OUTPUTS)) < 0.6
    truth[:, 3], known[:, 4] = True, False
    return Held(truth, known, 40 + np.sort(rng.integers(RECORDINGS, size=FRAMES)))


def draw(rng, held, strength):
    """Logits (3, N, K), with ties, that know ``strength`` of the truth."""
    noise = rng.normal(size=(3, *held.truth.shape))
    return np.round(strength * held.truth + noise, 1).astype(np.float32)


def test_scores_are_scikit_learns_on_the_known_cells(rng, held):
    logits = draw(rng, held, 1.0)
    found = score(held, logits)
    assert held.judged == [0, 1, 2]
    for k in range(OUTPUTS):
        if k not in held.judged:
            assert np.isnan(found.ap_per_output[k]) and np.isnan(found.auc_per_output[k])
            continue
        rows = held.known[:, k]
        ap = [average_precision_score(held.truth[rows, k], one[rows, k]) for one in logits]
        auc = [roc_auc_score(held.truth[rows, k], one[rows, k]) for one in logits]
        assert found.ap_per_output[k] == pytest.approx(np.mean(ap))
        assert found.auc_per_output[k] == pytest.approx(np.mean(auc))
    assert found.ap == pytest.approx(np.mean(found.ap_per_output[:3]))
    assert found.auc == pytest.approx(np.mean(found.auc_per_output[:3]))
    assert found.ap_per_seed.mean() == pytest.approx(found.ap)


def test_unknown_cells_change_nothing(rng, held):
    logits = draw(rng, held, 1.0)
    other = np.where(held.known, logits, rng.normal(size=logits.shape))
    wrong = held._replace(truth=np.where(held.known, held.truth, ~held.truth))
    np.testing.assert_equal(score(wrong, other), score(held, logits))


def test_floors_are_what_constants_and_chance_reach(rng, held):
    shares = [held.truth[held.known[:, k], k].mean() for k in held.judged]
    assert floors(held).prior == pytest.approx(np.mean(shares))
    random = np.mean([score(held, rng.random((1, FRAMES, OUTPUTS))).ap for _ in range(400)])
    assert floors(held).chance == pytest.approx(random, abs=0.01)


@pytest.mark.parametrize("case", range(4))
def test_weighted_precision_is_that_of_cells_written_out(case):
    rng = np.random.default_rng(case)
    truth, scores = rng.random(30) < 0.4, np.round(rng.normal(size=30), case % 2)
    weight = rng.integers(0, 3, size=(20, 30))
    weight[0] = truth  # nothing absent
    found = weighted_precision(truth, scores, weight)
    assert np.isnan(found[0])
    for times, value in zip(weight[1:], found[1:], strict=True):
        assert value == pytest.approx(average_precision_score(np.repeat(truth, times), np.repeat(scores, times)))


def test_the_interval_is_that_of_recordings_drawn_one_by_one(rng, held):
    """One seed per system, so that the plain bootstrap of the metrics' room computes the same."""
    ours, theirs = draw(rng, held, 1.5)[:1], draw(rng, held, 0.5)[:1]

    def macro(truth, scores, known):
        return partial_precision(truth, scores, known).macro

    slow = bootstrap_interval(
        macro,
        held.truth,
        ours[0],
        theirs[0],
        held.known,
        groups=held.recording,
        rng=np.random.default_rng(0),
        resamples=200,
    )
    fast = difference(held, ours, theirs, rng=np.random.default_rng(0), resamples=200)
    assert tuple(fast) == pytest.approx(tuple(slow))
    assert fast.low < fast.value < fast.high


def test_equal_systems_differ_by_nothing_and_noise_by_nothing_that_shows(rng, held):
    ours = draw(rng, held, 0.0)
    assert difference(held, ours, ours, rng=rng, resamples=50) == (0, 0, 0)
    gap = difference(held, ours, draw(rng, held, 0.0), rng=rng, resamples=200)
    assert gap.low < 0 < gap.high
    assert verdict(gap, gap).count("no difference") == 2


def test_nothing_judged_is_nothing_known(held):
    blind = held._replace(known=np.zeros_like(held.known))
    logits = np.zeros((3, FRAMES, OUTPUTS))
    assert blind.judged == []
    assert np.isnan(difference(blind, logits, logits, rng=np.random.default_rng(0), resamples=3)).all()


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        (Interval(0.08, 0.05, 0.11), "worth +.08 AP [+.05, +.11] over random weights"),
        (Interval(-0.1, -0.2, -0.05), "worse than random weights: -.10 AP [-.20, -.05]"),
        (Interval(0.01, -0.02, 0.03), "no difference to random weights that these recordings can show"),
    ],
)
def test_the_verdict_says_which_side_the_interval_is_on(interval, words):
    assert verdict(interval, Interval(0.2, 0.1, 0.3)).startswith(words)
    assert verdict(interval, Interval(0.2, 0.1, 0.3)).endswith("worth +.20 AP [+.10, +.30] over log-mel frames")
