"""Runs that go on from a trained model, for its own species and for others."""

import json

import numpy as np
import pytest
import torch

from rfcx_ssl.cli import main
from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.labels.pseudo import write_pseudo_labels
from rfcx_ssl.species import SpeciesTable, rfcx_species, write_species
from rfcx_ssl.training.train import TrainSettings, train

SMALL = (
    "data=rfcx", "data.sample_rate_hz=16000", "data.crop_s=1", "data.num_folds=3", "augment=none",
    "model=panns_cnn14", "model.sample_rate_hz=16000", "model.mel.f_max_hz=8000", "model.mel.hop_samples=640",
    "model.channels=[4]", "model.time_pools=[2]", "model.freq_pools=[4]", "model.embedding_dim=8", "num_workers=0",
    "batch_size=4", "max_steps=1", "num_pictures=0", "trackers=[]", "optim.encoder_lr=1e-9", "optim.head_lr=1e-9",
)  # fmt: skip


@pytest.fixture
def run(copied_forest, tmp_path, monkeypatch):
    """Train with overrides; returns the folder of the model."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def train_into(name, *overrides):
        places = (f"data.root={copied_forest}", f"output_dir={tmp_path / name}")
        return train(load_settings(TrainSettings, "finetune", "train", [*SMALL, *places, *overrides])) / "model"

    return train_into


def test_a_project_grows_by_a_species_and_keeps_what_it_learned(run, copied_forest):
    first = run("first")
    names = [name for name in rfcx_species().names if name != "Megascops nudipes"]
    write_species(SpeciesTable.of_names([*names, "Asio stygius"]), copied_forest / "species.csv")
    with pytest.raises(ConfigError, match="the data lack 'Megascops nudipes', the model lacks 'Asio stygius'"):
        run("second", f"start.model={first}")
    second = load_model(str(run("second", f"start.model={first}", "start.extend=true")))
    assert second.space.species_names == (*names, "Asio stygius")
    old, new = load_model(str(first)).head.classify.weight, second.head.classify.weight
    kept = [rfcx_species().names.index(name) for name in names]
    torch.testing.assert_close(new[:23], old[kept], rtol=0, atol=1e-7)  # one step of 1e-9 has passed


def test_the_same_architecture_is_wanted(run):
    first = run("first")
    with pytest.raises(
        ConfigError, match=r"built otherwise than this run's model: model.embedding_dim, model.head.dropout differ"
    ):
        run("second", f"start.model={first}", "model.embedding_dim=4", "model.head.dropout=0.3")


def test_a_start_that_is_not_there(run, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        run("first", f"start.model={tmp_path / 'nowhere'}")


def test_a_prior_in_the_labels_is_in_all_models_that_come_of_them(run, copied_forest, tmp_path, monkeypatch, capsys):
    scores, file = np.full((20, 24), 0.5, np.float32), tmp_path / "scaled.parquet"
    rows = [(f"rec{number:02d}", scores, 1.0) for number in range(12)]
    write_pseudo_labels(file, rows, output_names=[f"s{k}" for k in range(24)], frame_s=0.2, prevalence="table")
    first = run("first", f"data.pseudo.files=[{file}]")
    second = run("second", f"start.model={first}")
    (copied_forest / "train").rename(copied_forest / "test")
    wanted = ["recording_id," + ",".join(f"s{k}" for k in range(24)), "rec00" + ",0" * 24]
    (copied_forest / "sample_submission.csv").write_text("\n".join(wanted) + "\n")
    monkeypatch.setattr(
        "rfcx_ssl.inference.scorer.TorchScorer.__call__", lambda *_: pytest.fail("something was heard")
    )
    for model in (first, second):
        assert json.loads((model / "config.json").read_text())["scaled_prevalence"] == "table"
        more = ["--out", tmp_path / "out", "--threads", "1", "--set", "prevalence=table"]
        for words in (["detect", copied_forest / "test", "--model"], ["submit", "--data", copied_forest, "--models"]):
            with pytest.raises(SystemExit) as stop:
                main([str(word) for word in (*words, model, *more)])
            error = capsys.readouterr().err.strip().splitlines()[-1]
            assert stop.value.code == 2 and "prevalence=table: model" in error and "the prior is in its" in error
