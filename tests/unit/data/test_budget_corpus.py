"""A corpus within its label budget: the training side learns nothing of the other labels, validation keeps its own."""

import dataclasses

import numpy as np
import pytest
import torch

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.pseudo import write_pseudo_labels

GRID = FrameGrid(16_000, 1600)
FOLDS = (None, 0, 1, 2)


def ids(recordings):
    return [item.recording_id for item in recordings]


def items(corpus, fold, **changes):
    dataset = CropDataset(corpus, fold, GRID, seed=7, length=30, **changes)
    found = []
    for epoch in (0, 1):
        dataset.set_epoch(epoch)
        found += [dataset[i] for i in range(30)]
    return found


def assert_same(one, other):
    assert len(one) == len(other)
    for first, second in zip(one, other, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def outside_of(corpus, fold):
    return sorted(set(corpus.folds.train_ids(fold)) - corpus.within_budget(fold).budget.recording_ids)


@pytest.fixture(params=[{"labels_per_species": 1}, {"label_fraction": 0.6}], ids=["number", "fraction"])
def budget(request):
    return request.param


@pytest.fixture
def complete(tmp_path):
    """Two recordings in which every call is marked."""
    path = tmp_path / "complete.txt"
    path.write_text("rec03\nrec10\n")
    return path


@pytest.fixture
def teacher(tmp_path):
    """0.25 everywhere, for half of the recordings."""
    path = tmp_path / "soft.parquet"
    rows = [(f"rec{i:02d}", np.full((40, 24), 0.25, np.float32), 1.0) for i in range(0, 12, 2)]
    write_pseudo_labels(path, rows, output_names=[f"s{k}" for k in range(24)], frame_s=0.1)
    return path


def test_without_a_budget_the_corpus_is_the_same_object(settings_of):
    corpus = load_corpus(settings_of())
    assert corpus.within_budget(0) is corpus


@pytest.mark.parametrize("fold", FOLDS)
def test_only_the_training_side_changes(settings_of, budget, complete, fold):
    plain, whole = (load_corpus(settings_of(complete_file=complete, **size)) for size in ({}, budget))
    corpus = whole.within_budget(fold)
    assert whole.folds == plain.folds
    assert corpus.recordings(fold, "valid") == plain.recordings(fold, "valid")
    assert ids(corpus.recordings(fold, "train")) == sorted(corpus.budget.recording_ids)
    assert corpus.budget.recording_ids < set(ids(plain.recordings(fold, "train")))
    names = ids(plain.recordings(fold, "valid"))
    assert all(corpus.folds.fold_of[name] == fold for name in names)
    before, after = plain.judged(names, GRID), corpus.judged(names, GRID)
    assert np.array_equal(before.truth, after.truth) and np.array_equal(before.known, after.known)
    assert str(before.boxes) == str(after.boxes)
    for name in names:
        assert corpus.annotations.events(name) == plain.annotations.events(name)
        assert corpus.annotations.is_complete(name) == plain.annotations.is_complete(name)


@pytest.mark.parametrize("fold", FOLDS)
def test_labels_outside_the_budget_are_gone(settings_of, budget, complete, fold):
    whole = load_corpus(settings_of(complete_file=complete, **budget))
    corpus, outside = whole.within_budget(fold), outside_of(whole, fold)
    assert outside
    assert not set(corpus.annotations.table["recording_id"]) & set(outside)
    assert not corpus.annotations.complete.keys() & set(outside)
    assert not set(corpus.recording_of) & set(outside)


def garbled(corpus, fold, rng):
    """The corpus with nonsense in the boxes outside the budget; what they name stays, for it decides what is chosen."""
    table = corpus.annotations.table.copy()
    rows = table["recording_id"].isin(outside_of(corpus, fold)).to_numpy()
    start_s = rng.uniform(0, 3, rows.sum())
    table.loc[rows, "t_min"], table.loc[rows, "t_max"] = start_s, start_s + rng.uniform(0.1, 1, rows.sum())
    table.loc[rows, "f_min"], table.loc[rows, "weight"] = 1.0, 0.01
    return dataclasses.replace(corpus, annotations=Annotations(table, corpus.annotations.complete))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("soft", [False, True], ids=["experts", "pseudo-labels"])
def test_nonsense_outside_the_budget_changes_no_crop(settings_of, budget, teacher, fold, soft):
    more = {"pseudo": PseudoSettings(files=(teacher,)), "random_share": 0.5} if soft else {"random_share": 0.5}
    corpus = load_corpus(settings_of(**budget, **more))
    other = garbled(corpus, fold, np.random.default_rng(0))
    assert not corpus.annotations.table.equals(other.annotations.table)
    assert other.within_budget(fold).budget == corpus.within_budget(fold).budget
    assert_same(items(corpus, fold), items(other, fold))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("soft", [False, True], ids=["experts", "pseudo-labels"])
def test_crops_are_those_of_tables_that_lack_the_other_labels(
    settings_of, copied_forest, budget, complete, teacher, tmp_path, fold, soft
):
    folds = tmp_path / "folds.csv"
    more = {"random_share": 0.5, "folds_file": folds} | ({"pseudo": PseudoSettings(files=(teacher,))} if soft else {})
    corpus = load_corpus(settings_of(complete_file=complete, **budget, **more)).within_budget(fold)
    outside = outside_of(load_corpus(settings_of(complete_file=complete, **budget, **more)), fold)
    for name in ("train_tp.csv", "train_fp.csv"):
        lines = (copied_forest / name).read_text().splitlines(keepends=True)
        (copied_forest / name).write_text("".join(line for line in lines if line.split(",")[0] not in outside))
    complete.write_text("".join(f"{name}\n" for name in ("rec03", "rec10") if name not in outside))
    cut = load_corpus(settings_of(root=copied_forest, complete_file=complete, **more))
    assert ids(cut.recordings(fold, "train")) == ids(corpus.recordings(fold, "train"))
    assert_same(items(corpus, fold), items(cut, fold))


@pytest.mark.parametrize("by", ["recording", "site"])
def test_outside_the_budget_pseudo_labels_stand_alone(settings_of, budget, complete, teacher, by):
    settings = settings_of(complete_file=complete, pseudo=PseudoSettings(files=(teacher,)), group_by=by, **budget)
    whole = load_corpus(settings)
    for fold in FOLDS:
        corpus = whole.within_budget(fold)
        soft = [name for name in outside_of(whole, fold) if name in whole.pseudo[0].by_recording]
        trained_on = ids(corpus.recordings(fold, "train"))
        assert set(trained_on) == corpus.budget.recording_ids | set(soft)
        for name in soft:
            target, known = corpus.frame_labels(name, GRID, teacher=0)
            assert np.all(target == np.float32(0.25)) and np.allclose(known, settings.pseudo.weight)
            assert corpus.frame_labels(name, GRID)[1].sum() == 0


def test_crop_sets_never_see_more_than_the_budget(settings_of, budget):
    corpus = load_corpus(settings_of(random_share=0.5, **budget))
    for fold in FOLDS:
        dataset = CropDataset(corpus, fold, GRID, length=200)
        drawn = {dataset.anchor(i).recording_id for i in range(200)}
        assert drawn == corpus.within_budget(fold).budget.recording_ids


def test_the_budget_of_one_fold_is_not_taken_for_that_of_another(settings_of, budget):
    corpus = load_corpus(settings_of(**budget)).within_budget(1)
    assert corpus.within_budget(1) is corpus
    with pytest.raises(ValueError, match="those of fold=1, not of fold=0"):
        CropDataset(corpus, 0, GRID)


def test_the_training_seed_changes_no_budget_and_the_label_seed_no_fold(settings_of):
    corpora = [load_corpus(settings_of(labels_per_species=1, label_seed=seed)) for seed in range(6)]
    assert all(corpus.folds == corpora[0].folds for corpus in corpora)
    assert len({corpus.within_budget(None).budget.recording_ids for corpus in corpora}) > 1
    one, other = (CropDataset(corpora[0], 0, GRID, seed=seed) for seed in (1, 2))
    assert one.corpus.budget == other.corpus.budget
