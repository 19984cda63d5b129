import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from rfcx_ssl.metrics import average_precision, bootstrap_interval, partial_precision
from rfcx_ssl.metrics.bootstrap import Interval
from rfcx_ssl.probing.scores import Held, difference, floors, score, verdict, weighted_precision


def make(seed=0, frames=300, outputs=4, recordings=30):
    rng = np.random.default_rng(seed)
    truth, known = rng.random((frames, outputs)) < 0.3, rng.random((frames, outputs)) < 0.5
    truth[:, -1] = False  # cannot be judged
    return Held(truth, known, np.sort(rng.integers(recordings, size=frames)))


def test_scores_are_those_of_scikit_learn_on_known_cells():
    held = make()
    logits = np.random.default_rng(1).normal(size=(2, *held.truth.shape)).round(1)  # with ties
    found = score(held, logits)
    assert held.judged == [0, 1, 2]
    for name, metric in (("ap", average_precision_score), ("auc", roc_auc_score)):
        expected = np.array(
            [
                [metric(held.truth[held.known[:, k], k], one[held.known[:, k], k]) for k in held.judged]
                for one in logits
            ]
        )
        assert getattr(found, name) == pytest.approx(expected.mean())
        np.testing.assert_allclose(getattr(found, f"{name}_per_output")[:3], expected.mean(axis=0))
    assert np.isnan(found.ap_per_output[3])


def test_unknown_cells_change_nothing():
    held = make()
    logits = np.random.default_rng(1).normal(size=(1, *held.truth.shape))
    other = np.where(held.known, logits, 1e6)
    assert score(held, logits).ap == score(held, other).ap
    flipped = held._replace(truth=np.where(held.known, held.truth, ~held.truth))
    assert score(flipped, logits).auc == score(held, logits).auc


@pytest.mark.parametrize("ties", [False, True])
def test_weighted_precision_is_that_of_cells_written_out(ties):
    rng = np.random.default_rng(3)
    truth, scores = rng.random(50) < 0.3, rng.normal(size=50)
    scores = scores.round() if ties else scores
    weight = rng.integers(3, size=(6, 50))
    found = weighted_precision(truth, scores, weight)
    for value, times in zip(found, weight, strict=True):
        rows = np.repeat(np.arange(50), times)
        assert value == pytest.approx(average_precision(truth[rows, None], scores[rows, None]).macro)


def test_a_draw_without_a_present_or_an_absent_cell_is_no_draw():
    truth, scores = np.array([True, False]), np.array([0.5, 0.2])
    assert np.isnan(weighted_precision(truth, scores, np.array([[1, 0], [0, 1]]))).all()


def test_many_draws_are_taken_in_parts(monkeypatch):
    rng = np.random.default_rng(0)
    truth, scores, weight = rng.random(20) < 0.5, rng.normal(size=20), rng.integers(3, size=(9, 20))
    whole = weighted_precision(truth, scores, weight)
    monkeypatch.setattr("rfcx_ssl.probing.scores.MOST_CELLS", 30)
    np.testing.assert_allclose(weighted_precision(truth, scores, weight), whole, rtol=1e-12)


def test_noise_is_no_difference_and_knowledge_is_one():
    held = make(frames=900, recordings=60)
    noise = np.random.default_rng(5).normal(size=(6, *held.truth.shape))
    gap = difference(held, noise[:3], noise[3:], rng=np.random.default_rng(0), resamples=300)
    assert gap.low < 0 < gap.high
    gap = difference(held, noise[:3] + 3 * held.truth, noise[3:], rng=np.random.default_rng(0), resamples=300)
    assert 0 < gap.low < gap.value < gap.high
    assert gap.value == pytest.approx(score(held, noise[:3] + 3 * held.truth).ap - score(held, noise[3:]).ap)


def test_the_interval_is_that_of_recordings_drawn_one_by_one():
    """The plain bootstrap of the metrics' room; held-out recordings come after those of training, so none is 0."""
    held = make(frames=120, recordings=9)
    held = held._replace(recording=held.recording + 40)
    ours, theirs = (
        np.random.default_rng(2).normal(size=(2, 1, *held.truth.shape))
        + np.stack([held.truth, 0 * held.truth])[:, None]
    )

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


def test_equal_systems_differ_by_nothing_in_every_draw():
    held = make()
    logits = np.random.default_rng(1).normal(size=(1, *held.truth.shape))
    assert difference(held, logits, logits, rng=np.random.default_rng(0), resamples=20) == Interval(0, 0, 0)


def test_nothing_judged_is_nan():
    held = make()._replace(known=np.zeros((300, 4), bool))
    logits = np.zeros((1, 300, 4))
    assert np.isnan(difference(held, logits, logits, rng=np.random.default_rng(0), resamples=5)).all()


def test_the_prior_is_the_share_of_present_cells_of_judged_outputs():
    held = make()
    shares = [held.truth[held.known[:, k], k].mean() for k in held.judged]
    found = floors(held)
    assert found.prior == pytest.approx(np.mean(shares))
    assert found.prior < found.chance < found.prior + 0.05


def test_verdicts():
    sure, unsure, worse = Interval(0.08, 0.05, 0.11), Interval(0.01, -0.02, 0.03), Interval(-0.2, -0.3, -0.1)
    draws = np.array([0.61, 0.56, 0.627])
    assert verdict(sure, unsure, draws) == (
        "worth +.08 AP [+.05, +.11] over random weights (3 draws: .56 to .63); "
        "no difference to log-mel frames that these recordings can show (+.01 AP [-.02, +.03])"
    )
    assert verdict(worse, sure, draws).startswith("worse than random weights: -.20 AP [-.30, -.10] (3 draws")
    assert "1.00" in verdict(worse, sure, np.ones(3))
