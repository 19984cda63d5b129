import dataclasses

import numpy as np
import pytest
import soundfile

from rfcx_ssl.data import CropDataset, load_corpus
from rfcx_ssl.data.corpus import load_tables
from rfcx_ssl.data.folds import read_test_ids
from rfcx_ssl.data.settings import PseudoSettings
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.folds import Folds
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.pseudo import write_pseudo_labels
from rfcx_ssl.training.train import data_facts

GRID = FrameGrid(16_000, 1600)
NAMES = [f"rec{i:02d}" for i in range(12)]


def write_columns(root, **columns):
    """Replace recordings.csv by columns of 12 cells."""
    rows = [["recording_id", *columns], *([name, *(c[i] for c in columns.values())] for i, name in enumerate(NAMES))]
    (root / "recordings.csv").write_text("".join(",".join(row) + "\n" for row in rows))


@pytest.fixture
def taught(settings_of, copied_forest, tmp_path):
    """Settings with pseudo-labels of rec00, rec01 and of a recording without other labels, ``new`` at site2."""
    (copied_forest / "more").mkdir(exist_ok=True)
    soundfile.write(copied_forest / "more" / "new.flac", np.zeros(4 * 48_000, np.int16), 48_000)
    table = copied_forest / "recordings.csv"
    table.write_text(table.read_text() + "new,train,site2,4.0\n")
    rows = [(name, np.full((40, 24), 0.25, np.float32), 1.0) for name in ("rec00", "rec01", "new")]
    path = tmp_path / "teacher.parquet"
    write_pseudo_labels(path, rows, output_names=[f"s{k}" for k in range(24)], frame_s=0.1)

    def make(**changes):
        pseudo = PseudoSettings(files=(path,))
        return settings_of(root=copied_forest, pseudo=pseudo, audio_folders=("train", "more"), **changes)

    return make


def trained_on(corpus, fold):
    return {item.recording_id for item in corpus.recordings(fold, "train")}


def test_groups_are_any_column(settings_of, copied_forest):
    write_columns(copied_forest, plot=[f"p{i % 5}" for i in range(12)])
    folds = load_tables(settings_of(root=copied_forest, group_by="plot"))[1]
    assert set(folds.group_of.values()) == {f"p{i}" for i in range(5)}
    with pytest.raises(
        AnnotationError, match=r"data.group_by=plto needs .*recordings.csv with a column plto, did you mean 'plot'"
    ):
        load_tables(settings_of(root=copied_forest, group_by="plto"))
    write_columns(copied_forest, plot=["", *["p0", "p1", "p2"] * 3, "p0", "p1"])
    with pytest.raises(
        AnnotationError, match=r"1 recordings have no plot in .*recordings.csv \(first: rec00\); data.group_by=plot"
    ):
        load_tables(settings_of(root=copied_forest, group_by="plot"))


def test_groups_are_days_of_the_table(settings_of, copied_forest):
    write_columns(copied_forest, date=[f"2023-04-{1 + i % 4:02d}" for i in range(12)])
    folds = load_tables(settings_of(root=copied_forest, group_by="day"))[1]
    assert set(folds.group_of.values()) == {f"2023-04-0{i}" for i in range(1, 5)}
    assert all(folds.fold_of[f"rec{i:02d}"] == folds.fold_of[f"rec{i + 4:02d}"] for i in range(8))
    write_columns(copied_forest, site=["a"] * 12)
    with pytest.raises(AnnotationError, match=r"12 recordings have no date in .* or in their name \(first: rec00\)"):
        load_tables(settings_of(root=copied_forest, group_by="day"))


def test_groups_are_days_of_the_names(settings_of, copied_forest):
    for table in ("train_tp.csv", "train_fp.csv"):
        text = (copied_forest / table).read_text()
        for i, name in enumerate(NAMES):
            text = text.replace(name, f"A_202304{1 + i % 3:02d}_0{i % 10}3000{i}")
        (copied_forest / table).write_text(text)
    folds = load_tables(settings_of(root=copied_forest, group_by="day"))[1]
    assert sorted(set(folds.group_of.values())) == ["2023-04-01", "2023-04-02", "2023-04-03"]


def test_no_test_part_changes_nothing_and_a_test_part_leaves_the_rest_to_the_folds(settings_of):
    whole = load_tables(settings_of(seed=3))[1]
    assert not whole.test_ids
    folds = load_tables(settings_of(seed=3, test_share=0.25))[1]
    assert len(folds.test_ids) == 3 and sorted([*folds.fold_of, *folds.test_ids]) == whole.recording_ids
    assert folds == load_tables(settings_of(seed=3, test_share=0.25))[1]
    assert folds.test_ids != load_tables(settings_of(seed=4, test_share=0.25))[1].test_ids


def test_a_test_part_by_site_holds_whole_sites(settings_of):
    folds = load_tables(settings_of(group_by="site", test_share=0.25))[1]
    sites = {folds.group_of[name] for name in folds.test_ids}
    assert len(sites) == 1 and sites.isdisjoint(folds.group_of[name] for name in folds.fold_of)
    with pytest.raises(AnnotationError, match="num_folds=3 must be at least 2 and at most the 2 groups"):
        load_tables(settings_of(group_by="site", test_share=0.5))


@pytest.mark.parametrize(
    "text",
    ["rec03\n# a comment\n\nrec07\n", "recording_id,site,split\nrec03,x,test\nrec04,x,train\nrec07,x,test\n"],
)
def test_a_file_names_the_test_part(settings_of, tmp_path, text):
    path = tmp_path / "test.txt"
    path.write_text(text)
    assert read_test_ids(path) == {"rec03", "rec07"}
    folds = load_tables(settings_of(test_file=path))[1]
    assert folds.test_ids == {"rec03", "rec07"} and path in settings_of(test_file=path).label_files


def test_a_test_file_is_checked(settings_of, tmp_path, caplog):
    path = tmp_path / "test.txt"
    with pytest.raises(AnnotationError, match=r"test.txt: cannot be read"):
        load_tables(settings_of(test_file=path))
    path.write_text("# nothing\n")
    with pytest.raises(AnnotationError, match=r"test.txt: names no recording of the test part"):
        load_tables(settings_of(test_file=path))
    path.write_text("recording_id,fold\nrec03,test\n")
    with pytest.raises(AnnotationError, match=r"test.txt:1: missing column split"):
        load_tables(settings_of(test_file=path))
    path.write_text("REC03\n")
    with pytest.raises(AnnotationError, match=r"test.txt: none of its 1 recordings has labels"):
        load_tables(settings_of(test_file=path))
    path.write_text("rec03\nrec3\n")
    load_tables(settings_of(test_file=path))
    assert "test.txt: 1 of 2 recordings have no labels here (first: rec3)" in caplog.text
    with pytest.raises(
        AnnotationError, match=r"test.txt: leak: group site3 has rec03 in fold test and rec07 in fold \d"
    ):
        load_tables(settings_of(test_file=path, group_by="site"))


def test_folds_files_hold_the_test_part(settings_of, tmp_path):
    path, listed = tmp_path / "folds.csv", tmp_path / "test.txt"
    listed.write_text("rec03\n")
    dealt = load_tables(settings_of(folds_file=path, test_file=listed))[1]
    assert Folds.load(path) == dealt and dealt.test_ids == {"rec03"}
    assert load_tables(settings_of(folds_file=path, seed=9))[1] == dealt  # whatever the settings leave open
    listed.write_text("rec04\n")
    with pytest.raises(AnnotationError, match=r"folds.csv: its test part is not that of .*test.txt; delete the file"):
        load_tables(settings_of(folds_file=path, test_file=listed))
    path.unlink()
    load_tables(settings_of(folds_file=path))
    with pytest.raises(AnnotationError, match=r"folds.csv: has no test part, data.test_share=0.2; delete the file"):
        load_tables(settings_of(folds_file=path, test_share=0.2))


@pytest.mark.parametrize("budget", [{}, {"labels_per_species": 1}])
@pytest.mark.parametrize("part", [{"test_share": 0.25}, {"test_share": 0.25, "group_by": "site", "num_folds": 2}])
def test_nothing_of_the_test_part_is_trained_on_or_validated(taught, part, budget):
    whole = load_corpus(taught(**part, **budget, present_share=0.3, absent_share=0.3, random_share=0.4))
    test_ids = whole.folds.test_ids
    barred = test_ids | (
        {"new"} if whole.folds.group_of.get("new") in {whole.folds.group_of[n] for n in test_ids} else set()
    )
    assert test_ids
    for fold in (None, *range(whole.settings.num_folds)):
        corpus = whole.within_budget(fold)
        assert not barred & trained_on(corpus, fold)
        assert not test_ids & {item.recording_id for item in corpus.recordings(fold, "valid")}
        crops = CropDataset(whole, fold, GRID, length=60)
        assert not barred & {crops.anchor(i).recording_id for i in range(60)}
        assert corpus.budget is None or not test_ids & corpus.budget.recording_ids
        assert data_facts(whole.settings, corpus, fold)["recordings"]["test"] == len(test_ids)


def test_pseudo_labels_bring_nothing_of_the_test_part_into_training(taught, tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("rec00\nnew\n")  # with pseudo-labels both, new without any other label
    corpus = load_corpus(taught(test_file=path))
    assert not {"rec00", "new"} & trained_on(corpus, None) and "rec01" in trained_on(corpus, None)
    within = load_corpus(taught(test_file=path, label_fraction=0.2)).within_budget(0)
    assert not {"rec00", "new"} & trained_on(within, 0)
    path.write_text("rec02\nrec06\nrec10\n")  # site2, where new was recorded
    corpus = load_corpus(taught(test_file=path, group_by="site"))
    assert all("new" not in trained_on(corpus, fold) for fold in (None, 0, 1, 2))


def test_lonely_species_are_reported(settings_of, tmp_path, caplog):
    table = tmp_path / "more.csv"
    table.write_text("recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\nrec03,20,1,0,100,1,200\n")
    path = tmp_path / "test.txt"
    path.write_text("rec03\n")
    load_tables(settings_of(extra_tables=(table,)))
    assert "Todus mexicanus: present in one recording only: no fold both learns and validates them" in caplog.text
    load_tables(settings_of(extra_tables=(table,), test_file=path))
    assert "Todus mexicanus: present in the test part only: nothing learns them" in caplog.text


@pytest.mark.parametrize(
    "changes,message",
    [
        ({"test_share": 0.0}, "test_share=0 must be above 0 and below 1"),
        ({"test_share": 1.0}, "test_share=1 must be above 0"),
        ({"test_share": 0.1, "test_file": "x"}, "test_share=0.1 and test_file=x: set only one"),
        ({"group_by": ""}, "group_by must be recording, day or a column"),
    ],
)
def test_settings_without_a_meaning_are_refused(settings_of, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(settings_of(), **changes)
