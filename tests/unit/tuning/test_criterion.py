"""Criteria as words, and their choices against searching all candidates."""

import numpy as np
import pytest

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.tuning.criterion import read_criterion
from rfcx_ssl.tuning.tally import Counts


@pytest.mark.parametrize(("text", "shown", "beta"), [("f1", "f1", 1), ("F0.5", "f0.5", 0.5), ("precision=.9", "precision=0.9", 1), ("false-alarms=2", "false-alarms=2", 1)])  # fmt: skip
def test_words_become_criteria(text, shown, beta):
    assert (str(read_criterion(text)), read_criterion(text).beta) == (shown, beta)


@pytest.mark.parametrize("text", ["f", "f0", "precision=1.5", "precision", "false-alarms=0", "recall=0.5", "f1x"])
def test_other_words_are_refused(text):
    with pytest.raises(ConfigError, match=f"--criterion {text}: must be f1"):
        read_criterion(text)


def random_counts(rng):
    hits = np.sort(rng.integers(0, 20, 12))
    return Counts(hits, np.sort(rng.integers(0, 30, 12)), 20, 4.0)


@pytest.mark.parametrize("seed", range(20))
def test_choices_equal_a_search(seed):
    counts = random_counts(np.random.default_rng(seed))
    rows = []
    for hits, false in zip(counts.hits.tolist(), counts.false.tolist(), strict=True):
        rows.append((hits / (hits + false) if hits + false else 1.0, hits / 20, false / 4, 5 * hits / (5 * hits + 4 * (20 - hits) + false)))  # fmt: skip
    assert rows[read_criterion("f2").choose([counts]).candidate][3] == max(row[3] for row in rows)
    for text, good in (
        ("precision=0.5", [p >= 0.5 and f + r > 0 for p, r, f, _ in rows]),
        ("false-alarms=3", [f <= 3 for *_, f, _ in rows]),
    ):
        choice = read_criterion(text).choose([counts])
        assert choice.reached == any(good)
        allowed = [row for row, fine in zip(rows, good, strict=True) if fine]
        if allowed:
            assert rows[choice.candidate][:2] == max((recall, precision) for precision, recall, *_ in allowed)[::-1]
        elif text.startswith("precision"):
            assert rows[choice.candidate][0] == max(p for p, r, f, _ in rows if f + r > 0)
        else:
            assert rows[choice.candidate][2] == min(row[2] for row in rows)


def test_several_species_count_the_same_however_often_they_call():
    common = Counts(np.array([0, 900]), np.array([0, 100]), 1000, 1.0)
    rare = Counts(np.array([5, 5]), np.array([0, 45]), 5, 1.0)
    assert read_criterion("f1").choose([common, rare]).candidate == 1  # 0.5 + 0.09 against 0.45
    rare = Counts(np.array([5, 5]), np.array([0, 450]), 5, 1.0)
    assert read_criterion("f1").choose([common, rare, rare]).candidate == 0


def test_of_equal_neighbors_the_middle_one_is_taken():
    hits, false = np.array([1, 3, 3, 3, 3, 3, 4]), np.array([0, 1, 1, 1, 1, 1, 9])
    for text in ("f1", "precision=0.7", "false-alarms=1"):
        assert read_criterion(text).choose([Counts(hits, false, 4, 1.0)]).candidate == 3
