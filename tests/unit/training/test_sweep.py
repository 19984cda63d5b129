"""Grids and lists of overrides, and their table."""

import json

import pandas as pd
import pytest

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.sweep import plan_grid, plan_list, summarize


def test_grid_is_the_product_of_what_varies(tmp_path):
    launches = plan_grid(tmp_path, ["data=rfcx", "optim.head_lr=1e-3,3e-3", "seed=range(0,2)", "model=panns_cnn14"])
    assert [launch.output_dir.name for launch in launches] == [
        f"optim.head_lr={lr},seed={seed}" for lr in ("0.001", "0.003") for seed in (0, 1)
    ]
    assert launches[0].overrides == ("data=rfcx", "model=panns_cnn14", "optim.head_lr=0.001", "seed=0")


def test_grid_of_nothing_is_one_run(tmp_path):
    (only,) = plan_grid(tmp_path, ["data=rfcx"])
    assert only.output_dir == tmp_path / "run"


def test_unreadable_override(tmp_path):
    with pytest.raises(ConfigError, match=r"optim.head_lr=\[1,: no viable"):
        plan_grid(tmp_path, ["optim.head_lr=[1,"])


def test_list_of_runs(tmp_path):
    lines = tmp_path / "runs.txt"
    lines.write_text("loss=bce seed=1  # the default\n\n# nothing here\nloss=focal\n")
    launches = plan_list(tmp_path, ["data=rfcx"], lines)
    assert [launch.overrides for launch in launches] == [
        ("data=rfcx", "loss=bce", "seed=1"),
        ("data=rfcx", "loss=focal"),
    ]


def test_folder_names_survive_hydra(tmp_path):
    (launch, _) = plan_grid(tmp_path, ["loss=bce,focal"])
    assert launch.arguments[-1] == f"output_dir='{tmp_path}/loss=bce'"


def test_table_is_sorted_and_names_the_unfinished(tmp_path):
    launches = plan_grid(tmp_path, ["seed=0,1,2"])
    for launch, value in zip(launches[:2], (0.2, 0.7), strict=True):
        launch.output_dir.mkdir()
        run = {"finished": True, "metrics": {"lwlrap": value}, "num_parameters": 5, "steps": 9, "train_s": 1.5}
        run["select_metric"] = "lwlrap"
        (launch.output_dir / "run.json").write_text(json.dumps(run))
    text = summarize(launches, tmp_path)
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table["run"]) == ["seed=1", "seed=0", "seed=2"]
    assert list(table["state"]) == ["finished", "finished", "not started"]
    assert "0.7000" in text


def test_the_table_shows_what_chose_the_weights_and_its_floors(tmp_path):
    launches = plan_grid(tmp_path, ["seed=0,1"])
    for launch, value in zip(launches, (0.6, 0.8), strict=True):
        launch.output_dir.mkdir()
        metrics = {"lwlrap": None, "box_auc": value, "box_auc_random_floor": 0.5, "box_map": 1 - value}
        run = {"finished": True, "metrics": metrics, "select_metric": "box_auc"}
        (launch.output_dir / "run.json").write_text(json.dumps(run))
    text = summarize(launches, tmp_path)
    table = pd.read_csv(tmp_path / "sweep.csv")
    assert list(table["run"]) == ["seed=1", "seed=0"]
    assert "0.5000" in text and "lwlrap" not in text
    assert list(pd.read_csv(tmp_path / "sweep.csv")["box_auc_random_floor"]) == [0.5, 0.5]
    summarize(launches, tmp_path, sort_by="box_map")
    assert list(pd.read_csv(tmp_path / "sweep.csv")["run"]) == ["seed=0", "seed=1"]


def test_nothing_is_started_yet(tmp_path):
    assert "not started" in summarize(plan_grid(tmp_path, ["seed=0,1"]), tmp_path)
