from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import COLUMNS, Annotations
from rfcx_ssl.data.anchors import deal_epoch, default_length, make_decks, usable_shares
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import label_space, rfcx_species


def decks(present=(5, 1, 2), absent=(3,), recordings=4):
    """Decks with so many present boxes of species 0, 1, 2... and absent boxes of species 10, 11..."""
    rows = [(s, "present", i) for s, count in enumerate(present) for i in range(count)]
    rows += [(10 + s, "absent", i) for s, count in enumerate(absent) for i in range(count)]
    values = [(f"r{i % recordings}", s, 1, float(i), 1.0, i + 1.0, 2.0, state, 1.0, "t:2") for s, state, i in rows]
    table = Annotations.from_rows([dict(zip(COLUMNS[:-2], v, strict=True)) for v in values])
    return make_decks(table, [f"r{i}" for i in range(recordings)], label_space(rfcx_species()))


def deal(decks, shares, length, seed=0, balanced=True):
    return deal_epoch(decks, np.array(shares), length, np.random.default_rng(seed), balanced=balanced)


def kind(anchor):
    return "random" if anchor.event is None else "present" if anchor.event.present else "absent"


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 60), st.lists(st.integers(0, 5), min_size=3, max_size=3).filter(any), st.integers(0, 99))
def test_kinds_are_met_up_to_rounding(length, weights, seed):
    shares = np.array(weights) / sum(weights)
    dealt = deal(decks(), shares, length, seed)
    assert len(dealt) == length
    counts = Counter(kind(anchor) for anchor in dealt)
    for name, share in zip(("present", "absent", "random"), shares, strict=True):
        assert abs(counts[name] - share * length) < 1


def test_classes_take_turns_and_no_box_repeats_early():
    dealt = deal(decks(), [1, 0, 0], 12)
    assert Counter(anchor.event.species_id for anchor in dealt) == {0: 4, 1: 4, 2: 4}
    assert max(Counter(a for a in dealt if a.event.species_id == 0).values()) == 1
    assert set(Counter(a for a in dealt if a.event.species_id == 2).values()) == {2}


def test_unbalanced_epochs_show_every_box_once():
    assert set(Counter(deal(decks(), [1, 0, 0], 8, balanced=False)).values()) == {1}


def test_an_epoch_is_a_function_of_its_generator_and_comes_shuffled():
    assert deal(decks(), [0.5, 0.5, 0], 20, 3) == deal(decks(), [0.5, 0.5, 0], 20, 3)
    assert deal(decks(), [0.5, 0.5, 0], 20, 3) != deal(decks(), [0.5, 0.5, 0], 20, 4)
    kinds = [kind(anchor) for anchor in deal(decks(), [0.5, 0.5, 0], 20, 3)]
    assert kinds != sorted(kinds) and kinds != sorted(kinds, reverse=True)


def test_a_kind_without_boxes_gives_its_share_away_and_says_so(caplog):
    shares = usable_shares(decks(absent=()), (0.5, 0.25, 0.25))
    np.testing.assert_allclose(shares, [2 / 3, 0, 1 / 3])
    assert "no absent boxes to draw crops around: data.absent_share=0.25 is not used" in caplog.text
    with pytest.raises(AnnotationError, match="no crops to draw"):
        usable_shares(decks(present=(), absent=()), (1, 1, 0))


def test_the_default_epoch_shows_the_first_wanted_kind_once():
    assert default_length(decks(), np.array([0.5, 0.5, 0])) == 16
    assert default_length(decks(), np.array([0, 1.0, 0])) == 3


@pytest.mark.parametrize("balanced", [True, False])
def test_every_box_has_its_chance_in_a_short_epoch(balanced):
    first = {deal(decks(), [1, 0, 0], 1, seed, balanced)[0] for seed in range(200)}
    assert len(first) == 8
