"""Bootstrap intervals against theory for a mean, and pairing."""

import numpy as np
import pytest

from rfcx_ssl.metrics import bootstrap_draws, bootstrap_interval, interval_of, lwlrap


def mean_score(truth, scores, known):
    return float(scores[known].mean()) if known.any() else float("nan")


def test_interval_of_a_mean_is_the_normal_one():
    rng = np.random.default_rng(0)
    scores = rng.normal(2.0, 1.0, (400, 1))
    interval = bootstrap_interval(mean_score, np.zeros((400, 1)), scores, rng=rng, resamples=2000)
    half = 1.96 * scores.std() / np.sqrt(400)
    assert interval.value == pytest.approx(scores.mean(), rel=1e-12)
    assert interval.low == pytest.approx(interval.value - half, abs=0.012)
    assert interval.high == pytest.approx(interval.value + half, abs=0.012)


def test_pairing_removes_what_both_share():
    rng = np.random.default_rng(1)
    shared = rng.normal(0, 10, (100, 1))
    interval = bootstrap_interval(mean_score, np.zeros((100, 1)), shared + 0.5, shared, rng=rng, resamples=200)
    assert interval.low == pytest.approx(0.5) and interval.high == pytest.approx(0.5)


def test_difference_of_lwlrap_is_positive_for_the_better_system():
    rng = np.random.default_rng(2)
    truth = rng.random((80, 10)) < 0.2
    noise = rng.normal(size=truth.shape)
    interval = bootstrap_interval(
        lambda *arrays: lwlrap(*arrays).overall, truth, noise + 3 * truth, noise, rng=rng, resamples=200
    )
    assert 0 < interval.low < interval.value < interval.high


def test_same_generator_same_interval_and_nan_resamples_are_left_out():
    truth = np.zeros((6, 3))
    truth[0, 1] = 1  # a resample without row 0 has no positives
    scores = np.random.default_rng(0).random(truth.shape)
    runs = [
        bootstrap_interval(
            lambda *arrays: lwlrap(*arrays).overall, truth, scores, rng=np.random.default_rng(9), resamples=50
        )
        for _ in range(2)
    ]
    assert runs[0] == runs[1] and not np.isnan(runs[0]).any()
    empty = bootstrap_interval(mean_score, np.zeros((0, 1)), np.zeros((0, 1)), rng=np.random.default_rng(0))
    assert np.isnan(empty).all()


def test_a_level_outside_0_1_is_refused():
    with pytest.raises(ValueError, match="0 < level < 1"):
        bootstrap_interval(mean_score, [[1]], [[0.5]], rng=np.random.default_rng(0), level=95)


def test_rows_of_a_group_are_drawn_together():
    # 50 recordings of 1 to 5 equal rows: what is drawn is the mean over drawn rows, its spread that between groups.
    rng = np.random.default_rng(3)
    sizes = rng.integers(1, 6, size=50)
    groups = np.repeat(np.arange(50), sizes)
    order = rng.permutation(len(groups))  # rows of a group need not be neighbours
    scores = np.repeat(rng.normal(size=50), sizes)[order][:, None]
    together = bootstrap_interval(
        mean_score, np.zeros_like(scores), scores, groups=groups[order], rng=np.random.default_rng(4), resamples=2000
    )
    means = []
    slow = np.random.default_rng(5)
    for _ in range(2000):
        rows = [row for g in slow.integers(50, size=50) for row in np.flatnonzero(groups[order] == g)]
        means.append(scores[rows].mean())
    assert together.value == pytest.approx(scores.mean())
    assert (together.low, together.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), abs=0.03)
    single = bootstrap_interval(mean_score, np.zeros_like(scores), scores, rng=rng, resamples=500)
    assert together.high - together.low > 1.3 * (single.high - single.low)


def test_groups_name_every_row():
    with pytest.raises(ValueError, match="one entry per row, got 2 for 1 rows"):
        bootstrap_interval(mean_score, [[1]], [[0.5]], groups=[0, 1], rng=np.random.default_rng(0))


@pytest.mark.parametrize("groups", [None, np.arange(40) // 3], ids=["recordings", "sites"])
def test_draws_of_several_metrics_are_those_of_each_alone_and_subtract_in_pairs(groups):
    rng = np.random.default_rng(6)
    truth = rng.random((40, 3)) < 0.4
    ours, theirs, known = rng.normal(size=truth.shape) + truth, rng.normal(size=truth.shape), rng.random((40, 3)) < 0.8

    def both(*arrays):
        return np.array([lwlrap(*arrays).overall, mean_score(*arrays)])

    def drawn(scores):
        return bootstrap_draws(both, truth, scores, known, groups=groups, rng=np.random.default_rng(7), resamples=60)

    def alone(scores, other=None):
        return bootstrap_interval(
            mean_score, truth, scores, other, known, groups=groups, rng=np.random.default_rng(7), resamples=60
        )

    value = mean_score(truth, ours, known)
    assert interval_of(value, drawn(ours)[:, 1]) == alone(ours)
    gap = interval_of(value - mean_score(truth, theirs, known), (drawn(ours) - drawn(theirs))[:, 1])
    assert gap == alone(ours, theirs)
    assert bootstrap_draws(both, truth[:0], ours[:0], rng=rng).size == 0
