"""A run folder as training leaves it, without the training."""

import json
import shutil
from pathlib import Path

import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.provenance import hash_files
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.training.train import TrainSettings

METRICS = {
    "box_auc": 0.8125,
    "box_auc_random_floor": 0.5,
    "lwlrap": 0.731234,
    "lwlrap_random_floor": 0.31,
    "lwlrap_prior_floor": 0.66,
    "map": None,  # not judged
    "box_auc/s3": 0.9,
}


@pytest.fixture(scope="session")
def train_settings(forest):
    return load_settings(
        TrainSettings,
        "finetune",
        "train",
        ["model=panns_demo", f"data.root={forest}", "output_dir=run", "max_steps=4"],
    )


@pytest.fixture
def made_run(model_dir, forest, train_settings, tmp_path, monkeypatch):
    """``made_run(finished=True, git=COMMIT, metrics=METRICS)``: a run folder with a model."""

    def make(*, finished=True, git="0" * 40, metrics=METRICS) -> Path:
        monkeypatch.setattr("rfcx_ssl.provenance.git_commit", lambda: git)
        folder = RunFolder(tmp_path / "runs" / "cnn")
        folder.create()
        facts = {"data": {"sha256": hash_files([forest / "train_tp.csv"]), "recordings": {"train": 9, "valid": 3}}}
        folder.open(train_settings, facts | {"fold": 0, "validation": "3 validation recordings", "device": "cpu"})
        folder.metrics.write_text(json.dumps({"step": 2, "kind": "eval", **metrics}) + "\n")
        if finished:
            shutil.copytree(model_dir, folder.model)
            folder.record(
                finished=True, metrics=metrics, selected="best, step 2", select_metric="box_auc", train_s=7200
            )
        else:
            shutil.copytree(model_dir, folder.best / "step_0000002")
            (folder.path / "progress.json").write_text(json.dumps({"best": {"step": 2}, "train_s": 90.0}))
        return folder.path

    return make
