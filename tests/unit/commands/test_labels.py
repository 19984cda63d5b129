import argparse
from pathlib import Path

import datasets
import pytest

from rfcx_ssl.commands import labels
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.folds import Folds

SMALL = ("sample_rate_hz=16000", "crop_s=1.0", "num_folds=3")


def run(*words):
    parser = argparse.ArgumentParser()
    labels.add_arguments(parser)
    labels.run(parser.parse_args([str(word) for word in words]))


def test_the_report_counts_boxes_and_folds(forest, capsys, tmp_path):
    run(forest, *SMALL, "--save-folds", tmp_path / "folds.csv")
    text = capsys.readouterr().out
    assert text.startswith("8 present and 24 absent boxes in 12 recordings, 0 of them complete\n")
    table = [line.split() for line in text.splitlines()[7:13]]
    assert [int(row[-1]) for row in table] == [3, 3, 2, 6, 6, 12]
    assert Folds.load(tmp_path / "folds.csv").num_folds == 3


@pytest.mark.parametrize("words", [(), ("--tables-only",)])
def test_a_label_budget_is_shown_fold_by_fold_and_leaves_the_rest_as_it_is(forest, capsys, tmp_path, words):
    run(forest, *SMALL, "--save-folds", tmp_path / "all.csv", *words)
    everything = capsys.readouterr().out
    run(forest, *SMALL, "label_fraction=0.75", "--save-folds", tmp_path / "budget.csv", *words)
    text = capsys.readouterr().out
    assert text.startswith(everything)
    lines = text.removeprefix(everything).splitlines()
    budget = "labels: 6 of 8 training recordings (data.label_fraction=0.75, data.label_seed=0), 3 species covered"
    assert lines == [f"fold {fold}: {budget}" for fold in range(3)]
    assert (tmp_path / "all.csv").read_bytes() == (tmp_path / "budget.csv").read_bytes()


def test_tables_can_be_checked_without_audio(forest, capsys, tmp_path):
    for name in ("train_tp.csv", "train_fp.csv"):
        (tmp_path / name).write_text((forest / name).read_text())
    run(tmp_path, "num_folds=3", "--tables-only")
    assert "8 present and 24 absent boxes in 12 recordings" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="--tables-only reads no audio"):
        run(tmp_path, "--tables-only", "--picture", tmp_path / "x.png")


@pytest.mark.parametrize("words", [(), ("--tables-only",)])
def test_saved_folds_follow_the_sites(forest, tmp_path, words):
    saved, written = tmp_path / "saved.csv", tmp_path / "written.csv"
    run(forest, *SMALL, "group_by=site", f"folds_file='{written}'", "--save-folds", saved, *words)
    folds = Folds.load(saved)
    assert set(folds.group_of.values()) == {"site0", "site1", "site2", "site3"}
    assert written.read_bytes() == saved.read_bytes()
    run(forest, *SMALL, "group_by=site", f"folds_file='{saved}'", "seed=5", *words)


def test_a_crop_is_drawn_and_the_corpus_saved(forest, capsys, tmp_path):
    picture, folder = tmp_path / "new" / "crop.png", tmp_path / "corpus"
    crops = tmp_path / "crops"
    run(forest, *SMALL, "--pictures", crops, "--crops", 3)
    assert len(list(crops.glob("crop_*.png"))) == 3
    run(forest, *SMALL, "--picture", picture, "--crop", 3, "--dataset", folder)
    assert picture.read_bytes().startswith(b"\x89PNG") and [p.name for p in picture.parent.iterdir()] == ["crop.png"]
    assert len(datasets.load_from_disk(str(folder))) == 12
    with pytest.raises(ConfigError, match="--crop 999: must be 0 to"):
        run(forest, *SMALL, "--picture", picture, "--crop", 999)


def test_pushing_reports_where(forest, capsys, monkeypatch):
    class Commit:
        commit_url = "https://hub/commit/1"

    pushed = []
    monkeypatch.setattr(
        datasets.Dataset, "push_to_hub", lambda self, *a, **k: pushed.append((len(self), a, k)) or Commit
    )
    run(forest, *SMALL, "--push", "ann/frogs")
    assert pushed == [(12, ("ann/frogs",), {"private": True})]
    assert capsys.readouterr().out.endswith("pushed: https://hub/commit/1\n")


def test_roots_with_odd_names_are_taken_literally(forest, capsys, tmp_path):
    odd = tmp_path / "it's, here = [1]"
    odd.symlink_to(Path(forest), target_is_directory=True)
    run(odd, *SMALL)
    assert "12 recordings" in capsys.readouterr().out


def test_the_report_shows_the_test_part(forest, capsys, tmp_path):
    run(forest, *SMALL, "test_share=0.25", "--tables-only", "--save-folds", tmp_path / "folds.csv")
    text = capsys.readouterr().out
    assert (
        text.startswith("8 present and 24 absent boxes in 12 recordings")
        and "recordings per fold: 3, 3, 3, test 3" in text
    )
    lines = text.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("recordings per fold")) + 1
    table = lines[first : lines.index("", first) if "" in lines[first:] else None]
    header, *rows = [line.split() for line in table]
    assert header[-2:] == ["test", "total"] and sum(int(row[-2]) for row in rows) > 0
    assert len(Folds.load(tmp_path / "folds.csv").test_ids) == 3
