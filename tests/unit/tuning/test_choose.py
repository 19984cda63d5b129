"""Choices and their cross-validation against loops over groups."""

import numpy as np
import pytest

from rfcx_ssl.tuning.choose import Shared, choose_own, cross_validate, worth
from rfcx_ssl.tuning.criterion import read_criterion
from rfcx_ssl.tuning.tally import Counts, Tally

F1 = read_criterion("f1")


def random_tally(seed, groups=4, columns=6):
    rng = np.random.default_rng(seed)
    there = rng.integers(3, 9, groups)
    hits = (there[:, None] * rng.random((groups, columns))).astype(np.int64)
    return Tally(hits, rng.integers(0, 9, (groups, columns)), there, np.full(groups, 0.5))


def f1_of(hits, false, there):
    return 2 * hits / (hits + false + there)


def slow_crossed(tally, columns):
    """Hits and false alarms on each group of the column that is best on the others."""
    hits = false = 0
    for group in range(4):
        rest = [g for g in range(4) if g != group]
        totals = {
            c: f1_of(tally.hits[rest, c].sum(), tally.false[rest, c].sum(), tally.there[rest].sum()) for c in columns
        }
        best = max(columns, key=lambda c: totals[c])
        hits, false = hits + tally.hits[group, best], false + tally.false[group, best]
    return f1_of(hits, false, tally.there.sum())


@pytest.mark.parametrize("seed", range(12))
def test_another_smoothing_is_taken_only_where_it_is_better_without_having_chosen(seed):
    tally = random_tally(seed)
    found = choose_own(tally, F1, 2)
    plain, both = slow_crossed(tally, range(3)), slow_crossed(tally, range(6))
    columns = range(6) if both > plain else range(3)
    totals = [f1_of(tally.hits[:, c].sum(), tally.false[:, c].sum(), tally.there.sum()) for c in columns]
    assert found.candidate == int(np.argmax(totals)) and found.reached
    assert found.here.f1 == pytest.approx(max(totals))
    assert found.crossed.f1 == pytest.approx(max(both, plain))


def test_smoothing_goes_by_f_and_the_threshold_by_the_criterion():
    hits, false = [10, 20, 30, 10, 30, 35], [0, 5, 30, 0, 2, 30]
    tally = Tally(np.array([hits] * 3), np.array([false] * 3), np.array([40] * 3), np.zeros(3))
    assert choose_own(tally, F1, 2).candidate == 4
    assert choose_own(tally, read_criterion("precision=0.95"), 2).candidate == 3  # the precision of 4 is 0.94
    unreachable = choose_own(tally, read_criterion("precision=1"), 2)
    assert unreachable.candidate == 3 and unreachable.reached


def test_what_is_shared_is_best_on_average_and_crossed_alike():
    tallies = [random_tally(seed) for seed in (1, 2, 3)]
    shared = Shared(tallies, F1)

    def best(groups):
        means = [np.mean([f1_of(t.hits[groups, c].sum(), t.false[groups, c].sum(), t.there[groups].sum()) for t in tallies]) for c in range(6)]  # fmt: skip
        return int(np.argmax(means))

    assert shared.choice.candidate == best(list(range(4)))
    hits = false = 0
    for group in range(4):
        chosen = best([g for g in range(4) if g != group])
        hits, false = hits + tallies[0].hits[group, chosen], false + tallies[0].false[group, chosen]
    assert shared.decide(tallies[0]).crossed.f1 == pytest.approx(f1_of(hits, false, tallies[0].there.sum()))
    assert cross_validate(tallies[0], lambda _: 2).hits[0] == tallies[0].hits[:, 2].sum()


def test_the_worth_of_a_candidate():
    found = worth(Counts(np.array([0, 6]), np.array([0, 2]), 12, 4.0), 1)
    assert found == (0.75, 0.5, pytest.approx(0.6), 0.5)
