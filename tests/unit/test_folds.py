from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import COLUMNS, Annotations, read_annotations
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.folds import Folds, deal_test, fold_table, make_folds
from rfcx_ssl.species import rfcx_species

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "rfcx"


def annotations(rows):
    """Annotations of (recording, species, state) triples."""
    values = [(name, s, 1, 0.0, 1.0, 1.0, 2.0, state, 1.0, "t.csv:2") for name, s, state in rows]
    return Annotations.from_rows([dict(zip(COLUMNS[:-2], v, strict=True)) for v in values])


def forest(num=40, species=4):
    names = [f"r{i:03d}" for i in range(num)]
    rows = [(name, i % species, "present") for i, name in enumerate(names) if i % 2]
    rows += [(name, (i // 3) % species, "absent") for i, name in enumerate(names)]
    return names, annotations(rows)


def test_every_recording_has_one_fold_and_classes_are_spread_evenly():
    names, table = forest()
    folds = make_folds(table, names, num_folds=5, seed=0)
    assert folds.recording_ids == names
    assert sorted(name for k in range(5) for name in folds.valid_ids(k)) == names
    assert all(set(folds.train_ids(k)) == set(names) - set(folds.valid_ids(k)) for k in range(5))
    assert folds.train_ids(None) == names
    counts = fold_table(table, folds)
    columns = [f"fold_{k}" for k in range(5)]
    assert (counts[columns].max(axis=1) - counts[columns].min(axis=1)).max() <= 2
    assert (counts[columns].sum(axis=1) == counts["total"]).all()


def test_recordings_without_rows_get_folds_too():
    names, table = forest()
    folds = make_folds(table, [*names, "x1", "x2", "x3"], num_folds=3, seed=0)
    assert {"x1", "x2", "x3"} <= set(folds.fold_of)
    alone = make_folds(annotations([]), ["a", "b", "c", "d"], num_folds=2, seed=0)
    assert Counter(alone.fold_of.values()) == {0: 2, 1: 2}


def test_folds_depend_on_the_seed_and_not_on_the_order():
    names, table = forest()
    one = make_folds(table, names, num_folds=4, seed=1)
    assert make_folds(table, names[::-1], num_folds=4, seed=1) == one
    assert make_folds(table, names, num_folds=4, seed=2) != one


def test_sites_are_never_split():
    names, table = forest()
    sites = {name: f"site{i % 7}" for i, name in enumerate(names)}
    folds = make_folds(table, names, num_folds=3, seed=0, group_of=sites)
    assert all(len({folds.fold_of[n] for n in names if sites[n] == site}) == 1 for site in set(sites.values()))


def test_a_leak_between_folds_is_refused():
    with pytest.raises(AnnotationError, match="leak: group site1 has a in fold 0 and b in fold 1"):
        Folds({"a": 0, "b": 1}, {"a": "site1", "b": "site1"}, 2)


def test_impossible_folds_are_refused():
    names, table = forest(4)
    with pytest.raises(AnnotationError, match="num_folds=5 must be at least 2 and at most the 4 groups"):
        make_folds(table, names, num_folds=5, seed=0)
    with pytest.raises(AnnotationError, match="3 recordings have no group"):
        make_folds(table, names, num_folds=2, seed=0, group_of={names[0]: "site"})
    with pytest.raises(AnnotationError, match="fold=2 does not exist: must be 0 to 1"):
        make_folds(table, names, num_folds=2, seed=0).valid_ids(2)


def test_saved_folds_are_read_back(tmp_path):
    names, table = forest()
    folds = make_folds(table, names, num_folds=4, seed=1, group_of={n: n[:3] for n in names})
    folds.save(tmp_path / "new" / "folds.csv")
    assert Folds.load(tmp_path / "new" / "folds.csv") == folds
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["folds.csv"]


def test_the_test_part_is_in_no_fold_and_is_read_back(tmp_path):
    folds = Folds(
        {"a": 0, "b": 1, "c": 0}, {"a": "s", "b": "t", "c": "s", "x": "u", "y": "v"}, 2, frozenset({"x", "y"})
    )
    assert [folds.train_ids(fold) for fold in (None, 0, 1)] == [["a", "b", "c"], ["b"], ["a", "c"]]
    assert folds.valid_ids(0) == ["a", "c"] and folds.recording_ids == ["a", "b", "c"]
    folds.save(tmp_path / "folds.csv")
    assert (tmp_path / "folds.csv").read_text().splitlines()[-2:] == ["x,test,u", "y,test,v"]
    assert Folds.load(tmp_path / "folds.csv") == folds
    assert folds.select({"a", "x"}).test_ids == {"x", "y"} and folds.select({"a", "x"}).recording_ids == ["a"]


def test_recordings_without_a_fold_train_unless_their_group_is_held_out():
    groups = {"a": "s", "b": "t", "x": "u", "p": "s", "q": "t", "r": "u", "w": "new"}
    folds = Folds({"a": 0, "b": 1}, groups, 2, frozenset({"x"}))
    everything = [*groups, "nowhere"]
    assert folds.foldless_train_ids(everything, 0) == ["nowhere", "q", "w"]
    assert folds.foldless_train_ids(everything, 1) == ["nowhere", "p", "w"]
    assert folds.foldless_train_ids(everything, None) == ["nowhere", "p", "q", "w"]


def test_the_table_of_folds_has_a_column_for_the_test_part():
    table = annotations([("a", 0, "present"), ("b", 0, "present"), ("x", 0, "present"), ("x", 1, "absent")])
    folds = Folds({"a": 0, "b": 1}, {name: name for name in "abx"}, 2, frozenset({"x"}))
    counts = fold_table(table, folds)
    assert list(counts.columns) == ["species_id", "songtype_id", "state", "fold_0", "fold_1", "test", "total"]
    assert counts.to_numpy().tolist() == [[0, 1, "present", 1, 1, 1, 3], [1, 1, "absent", 0, 0, 1, 1]]


GROUPED = st.lists(
    st.tuples(st.integers(0, 11), st.sets(st.integers(0, 4), max_size=3)), min_size=1, max_size=40
)  # group and species of each recording


@settings(max_examples=60, deadline=None)
@example([(0, {2}), (1, {0}), (2, {1})], 0.5, 0)
@given(GROUPED, st.floats(0.01, 0.99), st.integers(0, 5))
def test_a_test_part_holds_whole_groups_and_depends_on_the_seed_alone(recordings, share, seed):
    names = [f"r{i:02d}" for i in range(len(recordings))]
    table = annotations(
        [(name, s, "present") for name, (_, heard) in zip(names, recordings, strict=True) for s in heard]
    )
    groups = {name: f"g{group}" for name, (group, _) in zip(names, recordings, strict=True)}
    if len(set(groups.values())) < 2:
        with pytest.raises(AnnotationError, match="a test part needs at least 2 groups, there are 1"):
            deal_test(table, names, share, seed=seed, group_of=groups)
        return
    test_ids = deal_test(table, names, share, seed=seed, group_of=groups)
    assert test_ids == deal_test(table, names[::-1], share, seed=seed, group_of=groups)
    assert test_ids < set(names)
    assert not {groups[name] for name in test_ids} & {groups[name] for name in set(names) - test_ids}
    folds = Folds(dict.fromkeys(set(names) - test_ids, 0), groups, 1, test_ids)  # raises where a group is split
    assert not test_ids & set(folds.train_ids(None))


def test_a_test_part_is_stratified_better_than_chance():
    rng = np.random.default_rng(0)
    names = [f"r{i:03d}" for i in range(200)]
    heard = rng.random((200, 8)) < np.geomspace(0.04, 0.4, 8)
    table = annotations([(names[i], int(s), "present") for i, s in np.argwhere(heard)])

    def distance(chosen):
        rows = np.isin(names, list(chosen))
        return np.abs(heard[rows].sum(0) / heard.sum(0) - 0.2).mean()

    dealt = [distance(deal_test(table, names, 0.2, seed=seed)) for seed in range(10)]
    blind = [distance(rng.choice(names, 40, replace=False)) for _ in range(10)]
    assert np.mean(dealt) < 0.3 * np.mean(blind)
    sizes = [len(deal_test(table, names, 0.2, seed=seed)) for seed in range(10)]
    assert min(sizes) >= 30 and max(sizes) <= 50


def test_what_one_group_alone_holds_stays_outside_the_test_part():
    names, _ = forest(30)
    rare = annotations([*((n, 0, "present") for n in names), ("r007", 9, "present")])
    assert all("r007" not in deal_test(rare, names, 0.3, seed=seed) for seed in range(10))


@pytest.mark.parametrize(
    "text,message",
    [
        ("id,fold\n", "folds.csv:1: the header must be"),
        ("recording_id,fold,group\na,zero,a\n", "folds.csv:2: needs a recording, a fold number and a group"),
        ("recording_id,fold,group\na,0\n", "folds.csv:2: needs"),
        ("recording_id,fold,group\na,0,a\na,1,a\n", "folds.csv:3: recording a is listed twice"),
        ("recording_id,fold,group\na,0,s\nb,1,s\n", "leak"),
        ("recording_id,fold,group\n", "lists no recordings"),
        ("recording_id,fold,group\na,test,a\n", "lists no recordings outside the test part"),
        ("recording_id,fold,group\na,0,s\nb,test,s\n", "leak: group s has a in fold 0 and b in fold test"),
        ("recording_id,fold,group\na,0,a\na,test,a\n", "folds.csv:3: recording a is listed twice"),
        (None, "cannot be read"),
    ],
)
def test_a_broken_fold_file_is_named(tmp_path, text, message):
    path = tmp_path / "folds.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(AnnotationError, match=message):
        Folds.load(path)


@pytest.mark.skipif(not (REAL / "train_tp.csv").is_file(), reason="the real tables are not here")
def test_the_real_tables_fold_evenly():
    table = read_annotations(REAL, species=rfcx_species())
    folds = make_folds(table, table.recording_ids, num_folds=5, seed=0)
    assert len(folds.fold_of) == 4727
    counts = fold_table(table, folds).set_index(["species_id", "songtype_id", "state"])
    assert len(counts) == 52
    per_fold = counts[[f"fold_{k}" for k in range(5)]]
    present = per_fold.xs("present", level="state")
    assert present.sum().sum() == 1216 and per_fold.sum().sum() == 1216 + 7781
    assert present.loc[(17, 4)].sum() == 28 and present.loc[(0, 1)].tolist() == [10] * 5
    assert ((present.max(axis=1) - present.min(axis=1)) <= 4).all()  # some recordings hold several boxes of a class
    assert present.min().min() >= 5
    absent = per_fold.xs("absent", level="state")
    assert (absent.min(axis=1) >= 0.9 * absent.sum(axis=1) / 5).all()
    sizes = Counter(folds.fold_of.values())
    assert max(sizes.values()) - min(sizes.values()) <= 60


def test_the_highest_fold_is_one_below_the_limit(tmp_path):
    path = tmp_path / "folds.csv"
    path.write_text("recording_id,fold,group\na,9999,a\n", encoding="utf-8")
    assert Folds.load(path).num_folds == 10_000
    path.write_text("recording_id,fold,group\na,9999,a\nb,10000,b\n", encoding="utf-8")
    with pytest.raises(AnnotationError, match=r"folds.csv:3: fold=10000 must be below 10000"):
        Folds.load(path)
