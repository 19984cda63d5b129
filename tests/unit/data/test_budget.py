"""Label budgets against a slow reference, and their promises: nested, stratified, a function of the seed and the ids."""

import csv
import hashlib
import io
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.data import DataSettings
from rfcx_ssl.data.budget import Stratum, choose_labels, strata

SPECIES, SONGS, STATES = (0, 1, 2, 3), (1, 4), ("present", "absent")
IDS = [f"r{i:02d}" for i in range(16)]


def row(name, species, song, state):
    box = {"t_min": 0.0, "f_min": 100.0, "t_max": 1.0, "f_max": 200.0}
    return {
        "recording_id": name, "species_id": species, "songtype_id": song, "state": state, "weight": 1.0,
        "source": "x:1", **box,
    }  # fmt: skip


rows_of_boxes = st.lists(
    st.builds(row, st.sampled_from(IDS), st.sampled_from(SPECIES), st.sampled_from(SONGS), st.sampled_from(STATES)),
    min_size=1,
    max_size=40,
)
complete_recordings = st.sets(st.sampled_from(IDS), max_size=6)
seeds = st.integers(0, 3)
fractions = st.fractions(Fraction(1, 100), 1, max_denominator=100)


def chosen(rows, complete=(), ids=None, *, seed=0, **budget):
    annotations = Annotations.from_rows(rows, complete)
    settings = DataSettings(root=Path("x"), label_seed=seed, **budget)
    return choose_labels(annotations, annotations.recording_ids if ids is None else ids, settings, 0)


def slow_strata(rows, complete):
    """What each recording stands for, cell by cell."""
    names = {r["recording_id"] for r in rows} | set(complete)
    found = {}
    for name in names:
        best = None
        for state in STATES:
            for species in SPECIES:
                for song in SONGS:
                    holders = {
                        r["recording_id"]
                        for r in rows
                        if r["species_id"] == species and r["songtype_id"] == song and r["state"] == state
                    }
                    if name in holders and (best is None or (best[0] == state and len(holders) < best[1])):
                        best = (state, len(holders), species, song)
        found[name] = ("silent", None, None) if best is None else (best[0], *best[2:])
    return found


def slow_order(name, seed):
    return hashlib.blake2b(bytes(f"{seed}/{name}", "utf-8"), digest_size=8).hexdigest()


def slow_members(rows, complete, seed):
    members = {}
    for name, stratum in slow_strata(rows, complete).items():
        members.setdefault(stratum, []).append(name)
    return {stratum: sorted(names, key=lambda name: slow_order(name, seed)) for stratum, names in members.items()}


def slow_fraction(rows, complete, fraction, seed):
    """One of each stratum; then one by one from the stratum that lags its share most."""
    members = slow_members(rows, complete, seed)
    total = sum(len(names) for names in members.values())
    taken = dict.fromkeys(members, 1)
    while sum(taken.values()) < max(len(members), round(float(fraction) * total)):
        open_strata = [stratum for stratum in members if taken[stratum] < len(members[stratum])]
        # with one more, the middle of its last recording's share comes first
        lagging = min(
            open_strata,
            key=lambda stratum: (
                Fraction(2 * taken[stratum] + 1, 2 * len(members[stratum])),
                slow_order(members[stratum][taken[stratum]], seed),
            ),
        )
        taken[lagging] += 1
    return {name for stratum, names in members.items() for name in names[: taken[stratum]]}


@given(rows_of_boxes, complete_recordings)
def test_a_recording_stands_for_its_rarest_call(rows, complete):
    annotations = Annotations.from_rows(rows, complete)
    assert {k: tuple(v) for k, v in strata(annotations, annotations.recording_ids).items()} == slow_strata(
        rows, complete
    )


@given(rows_of_boxes, complete_recordings, st.integers(1, 5), seeds)
def test_a_number_takes_the_first_of_each_stratum(rows, complete, number, seed):
    expected = {name for names in slow_members(rows, complete, seed).values() for name in names[:number]}
    assert chosen(rows, complete, labels_per_species=number, seed=seed).recording_ids == expected


@given(rows_of_boxes, complete_recordings, fractions, seeds)
def test_a_fraction_takes_each_stratum_in_proportion(rows, complete, fraction, seed):
    budget = chosen(rows, complete, label_fraction=float(fraction), seed=seed)
    assert budget.recording_ids == slow_fraction(rows, complete, fraction, seed)


@given(rows_of_boxes, complete_recordings, st.integers(1, 5), st.integers(0, 3), seeds)
def test_smaller_numbers_lie_inside_larger_ones(rows, complete, number, more, seed):
    small, large = (chosen(rows, complete, labels_per_species=n, seed=seed) for n in (number, number + more))
    assert small.recording_ids <= large.recording_ids


@given(rows_of_boxes, complete_recordings, fractions, fractions, seeds)
def test_smaller_fractions_lie_inside_larger_ones(rows, complete, one, other, seed):
    small, large = (chosen(rows, complete, label_fraction=float(x), seed=seed) for x in sorted((one, other)))
    assert small.recording_ids <= large.recording_ids


@given(rows_of_boxes, complete_recordings, fractions, seeds)
def test_a_fraction_is_met_and_no_stratum_is_left_out(rows, complete, fraction, seed):
    budget = chosen(rows, complete, label_fraction=float(fraction), seed=seed)
    sizes = {stratum: len(names) for stratum, names in slow_members(rows, complete, seed).items()}
    assert {tuple(choice.stratum) for choice in budget.choices} == set(sizes)
    assert all(choice.stratum_size == sizes[tuple(choice.stratum)] for choice in budget.choices)
    total = sum(sizes.values())
    assert len(budget.choices) == len(sizes) or abs(len(budget.choices) - fraction * total) <= Fraction(1, 2)


@given(rows_of_boxes, complete_recordings, seeds, st.randoms())
def test_the_order_of_rows_and_ids_does_not_matter(rows, complete, seed, random):
    ids = sorted({r["recording_id"] for r in rows} | complete)
    other_rows, other_ids = random.sample(rows, len(rows)), random.sample(ids, len(ids))
    for size in ({"labels_per_species": 1}, {"label_fraction": 0.4}):
        assert chosen(rows, complete, ids, seed=seed, **size) == chosen(
            other_rows, complete, other_ids, seed=seed, **size
        )


@given(rows_of_boxes, complete_recordings, seeds)
def test_boxes_of_other_recordings_do_not_matter(rows, complete, seed):
    ids = [name for name in IDS[:8] if name in {r["recording_id"] for r in rows} | complete]
    own = [r for r in rows if r["recording_id"] in ids]
    for size in ({"labels_per_species": 1}, {"label_fraction": 0.4}):
        assert chosen(rows, complete, ids, seed=seed, **size) == chosen(own, complete, ids, seed=seed, **size)


def calls(**species_of):
    return [row(name, species, 1, "present") for name, held in species_of.items() for species in held]


def test_other_seeds_choose_other_recordings():
    rows = calls(**{name: [0] for name in IDS})
    sets = {chosen(rows, labels_per_species=4, seed=seed).recording_ids for seed in range(10)}
    assert len(sets) == 10
    assert set().union(*sets) == set(IDS)  # every recording gets its turn


def test_a_recording_that_joins_or_leaves_shuffles_no_others():
    everything = calls(**{name: [0] for name in IDS})
    for size in range(1, 16):
        before = chosen(everything[1:], labels_per_species=size).recording_ids
        after = chosen(everything, labels_per_species=size).recording_ids
        assert len(before - after) <= 1 and after - before <= {IDS[0]}


def test_song_types_count_apart_and_so_do_recordings_in_which_a_species_is_only_ruled_out():
    songs = [row(name, 1, 1 if i < 8 else 4, "present") for i, name in enumerate(IDS)]
    ruled_out = [row(f"a{i}", 1, 1, "absent") for i in range(5)]
    budget = chosen([*songs, *ruled_out], ["c0", "c1", "c2"], labels_per_species=2)
    stood_for = [choice.stratum for choice in budget.choices]
    of_each = [Stratum("present", 1, 1), Stratum("present", 1, 4), Stratum("absent", 1, 1), Stratum("silent")]
    assert sorted(map(str, stood_for)) == sorted(map(str, of_each * 2))


def test_the_summary_counts_recordings_and_species():
    rows = calls(a=[0], b=[0], c=[1], d=[1], e=[1], f=[2])
    line = chosen(rows, labels_per_species=1, seed=3).summary()
    assert line == (
        "labels: 3 of 6 training recordings (data.labels_per_species=1, data.label_seed=3), 3 species covered"
    )
    line = chosen(rows, label_fraction=0.5).summary()
    assert line.startswith("labels: 3 of 6 training recordings (data.label_fraction=0.5, data.label_seed=0), 3 sp")


def test_a_budget_above_what_there_is_keeps_everything_and_says_so():
    budget = chosen(calls(a=[0], b=[0], c=[1]), ["quiet"], labels_per_species=100)
    assert budget.recording_ids == {"a", "b", "c", "quiet"}
    assert budget.summary() == (
        "labels: all 4 training recordings (data.labels_per_species=100 leaves none out), 2 species covered"
    )
    assert chosen(calls(a=[0], b=[0]), label_fraction=1.0).summary().startswith("labels: all 2 ")


def test_a_species_that_calls_only_beside_rarer_ones_may_be_lost_and_is_named():
    # 2 calls in three recordings, always beside a rarer species, which have other recordings as well
    rows = calls(a=[0, 2], b=[1, 2], c=[3, 2], a2=[0], b2=[1], c2=[3])
    lines = {chosen(rows, labels_per_species=1, seed=seed).summary().split("), ")[1] for seed in range(40)}
    assert lines == {"4 species covered", "3 species covered, but not species 2"}


def test_the_table_tells_what_each_recording_stands_for():
    rows = [*calls(a=[0, 1], b=[0], c=[0]), row("a", 2, 1, "absent"), row("d", 2, 4, "absent")]
    table = list(csv.DictReader(io.StringIO(chosen(rows, ["e"], labels_per_species=1).to_csv())))
    kept = {name["recording_id"]: name for name in table}
    assert [line["recording_id"] for line in table] == sorted(kept)
    assert set(kept) in ({"a", "b", "d", "e"}, {"a", "c", "d", "e"})
    assert kept["a"] == {
        "recording_id": "a", "state": "present", "species_id": "1", "songtype_id": "1", "rank": "1",
        "stratum_size": "1", "present_boxes": "2", "absent_boxes": "1",
    }  # fmt: skip
    assert (kept["d"]["state"], kept["d"]["species_id"], kept["d"]["songtype_id"]) == ("absent", "2", "4")
    assert (kept["e"]["state"], kept["e"]["species_id"], kept["e"]["present_boxes"]) == ("silent", "", "0")
    (common,) = kept.keys() & {"b", "c"}
    assert kept[common]["stratum_size"] == "2"


def test_without_a_budget_there_is_nothing_to_choose():
    with pytest.raises(ValueError, match="no label budget"):
        chosen(calls(a=[0]))
