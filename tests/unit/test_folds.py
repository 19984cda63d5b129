from collections import Counter
from pathlib import Path

import pytest

from rfcx_ssl.annotations import COLUMNS, Annotations, read_annotations
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.folds import Folds, fold_table, make_folds
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


@pytest.mark.parametrize(
    "text,message",
    [
        ("id,fold\n", "folds.csv:1: the header must be"),
        ("recording_id,fold,group\na,zero,a\n", "folds.csv:2: needs a recording, a fold number and a group"),
        ("recording_id,fold,group\na,0\n", "folds.csv:2: needs"),
        ("recording_id,fold,group\na,0,a\na,1,a\n", "folds.csv:3: recording a is listed twice"),
        ("recording_id,fold,group\na,0,s\nb,1,s\n", "leak"),
        ("recording_id,fold,group\n", "lists no recordings"),
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
