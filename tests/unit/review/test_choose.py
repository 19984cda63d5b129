"""What is asked: budgets, no question twice, balance, and each strategy against its definition."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.review.choose import LIKELY, NEAR, Asked, apportion, choose
from rfcx_ssl.review.settings import ReviewSettings, Strategy

EMPTY = dict.fromkeys(("top", "threshold", "random", "diverse"), 0.0)


def only(**shares):
    return Strategy(**(EMPTY | shares))


def direction(part):
    """A made-up embedding: a function of the file and the time."""
    angle = 7.0 * int(part.path.stem.removeprefix("rec")) + part.start_s
    return [np.cos(angle), np.sin(angle), 1.0]


def embed(parts):
    return np.array([direction(part) for part in parts], np.float32).reshape(-1, 3)


def ask(pool, places, asked=(), threshold=0.5, **changes):
    return choose(pool, ReviewSettings(**changes), threshold=threshold, places=places, embed=embed, asked=asked)


@given(st.integers(0, 500), st.lists(st.floats(0, 1), min_size=1, max_size=4).filter(lambda x: sum(x) > 0.01))
def test_apportion(total, shares):
    named = dict(zip("abcd", shares, strict=False))
    parts = apportion(total, named)
    assert sum(parts.values()) == total
    assert all(abs(parts[name] - total * share / sum(shares)) < 1 for name, share in named.items())


def overlap(one, other):
    return one.start_s < other.end_s and other.start_s < one.end_s


@settings(deadline=None, max_examples=40)
@given(
    budget=st.integers(1, 60),
    recordings=st.integers(1, 5),
    species=st.integers(1, 4),
    known=st.booleans(),
    seed=st.integers(0, 9),
    kinds=st.lists(st.sampled_from(list(EMPTY)), min_size=1, unique=True),
)
def test_every_choice_keeps_the_rules(budget, recordings, species, known, seed, kinds, make_pool, make_places):
    pool, places = make_pool(recordings, 4, species, seed), make_places(recordings, known)
    words = {"budget": budget, "seed": seed, "strategy": only(**dict.fromkeys(kinds, 1.0))}
    asked = [Asked("rec0", 0, 0.5, 1.5), Asked("elsewhere", 0, 0.0, 9.0)]
    questions = ask(pool, places, asked, **words)
    assert questions == ask(pool, places, asked, **words)  # a function of its arguments
    assert len(questions) <= budget
    free = recordings * 4 * species - 1
    if kinds == ["top"]:
        assert len(questions) == min(budget, free)
    for one, other in itertools.combinations(questions, 2):
        same = (one.recording, one.species_id) == (other.recording, other.species_id)
        assert not (same and overlap(one, other))
    for question in questions:
        assert not (question.recording == 0 and question.species_id == 0 and overlap(question, asked[0]))
        assert 0 <= question.start_s < question.end_s <= pool.heard_s[question.recording]


def test_kinds_get_their_shares_and_species_take_turns(make_pool, make_places):
    pool = make_pool(20, 10, 7)
    questions = ask(pool, make_places(20), budget=100)
    assert Counter(q.why for q in questions) == {"top": 40, "threshold": 30, "random": 20, "diverse": 10}
    counts = Counter(q.species_id for q in questions)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_species_asked_about_before_wait_for_the_others(make_pool, make_places):
    asked = [Asked("rec0", 0, second, second + 1.0) for second in range(3)]
    counts = Counter(q.species_id for q in ask(make_pool(20, 10, 3), make_places(20), asked, budget=9))
    assert counts == {0: 1, 1: 4, 2: 4}


def test_sites_hours_and_recordings_are_balanced(make_pool, make_places):
    pool, places = make_pool(24, 20, 2), make_places(24)
    questions = ask(pool, places, budget=24, strategy=only(random=1.0))
    for species in range(2):
        mine = [q for q in questions if q.species_id == species]
        sites = Counter(places.site[q.recording] for q in mine)
        assert abs(sites["site0"] - sites["site1"]) <= 1
        assert max(Counter(q.recording for q in mine).values()) <= 2
    hours = Counter(places.hour(q.recording, q.start_s) for q in questions)
    assert len(hours) == 6 and max(hours.values()) <= 8


def test_top_asks_the_highest_scores(make_pool, make_places):
    pool = make_pool(20, 10, 2)
    for question in ask(pool, make_places(20), budget=2, strategy=only(top=1.0)):
        best = np.sort(pool.stretches.score[:, question.species_id])[::-1][:NEAR]
        assert np.float32(question.score) in best


def test_threshold_asks_around_it(make_pool, make_places):
    pool = make_pool(40, 10, 2)
    for question in ask(pool, make_places(40), budget=10, strategy=only(threshold=1.0), threshold=0.2):
        assert question.score == pytest.approx(0.2, abs=0.05)


def test_random_asks_about_whole_stretches_of_any_score(make_pool, make_places):
    pool = make_pool(40, 10, 1, seed=5)
    questions = ask(pool, make_places(40), budget=200, strategy=only(random=1.0))
    assert all(q.end_s - q.start_s == 2.0 for q in questions)
    assert np.mean([q.score for q in questions]) == pytest.approx(0.5, abs=0.06)
    other = ask(pool, make_places(40), budget=200, strategy=only(random=1.0), seed=1)
    assert {q[:3] for q in questions} != {q[:3] for q in other}


def test_diverse_is_farthest_first_among_the_likely(make_pool, make_places):
    pool = make_pool(30, 4, 1)
    questions = ask(pool, make_places(30), budget=6, strategy=only(diverse=1.0))
    order = np.argsort(-pool.stretches.score[:, 0], kind="stable")[:LIKELY]
    likely = [(int(pool.recording[c]), *pool.times(0, int(pool.stretches.peak_start[c, 0]), int(pool.stretches.peak_stop[c, 0]))) for c in order]  # fmt: skip

    def vector(recording, start_s, end_s):
        middle = (start_s + end_s) / 2
        start = max(0.0, min(middle - 1.0, pool.heard_s[recording] - 2.0))
        return np.array([np.cos(7.0 * recording + start), np.sin(7.0 * recording + start), 1.0])

    vectors = np.array([vector(*box) for box in likely])
    vectors = vectors - vectors.mean(axis=0)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    chosen = [0]  # the likeliest
    while len(chosen) < 6:
        gaps = [min(np.linalg.norm(v - vectors[c]) for c in chosen) for v in vectors]
        chosen.append(int(np.argmax(gaps)))
    assert {q[:1] + q[2:4] for q in questions} == {likely[c] for c in chosen}


def test_what_an_earlier_round_covers_is_not_asked_again(make_pool, make_places):
    pool, places = make_pool(5, 4, 2), make_places(5)
    asked, total = [], 0
    for _ in range(10):
        questions = ask(pool, places, asked, budget=7, strategy=only(top=1.0, random=1.0))
        total += len(questions)
        asked += [Asked(pool.recordings[q.recording].name, *q[1:4]) for q in questions]
    assert total == 5 * 4 * 2 and not ask(pool, places, asked, budget=7)
