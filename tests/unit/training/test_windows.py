"""A trained model is heard, from its folder alone, through the windows it was validated with."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.config import load_settings
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.training.train import TrainSettings, train

SMALL = (
    "data=rfcx", "data.sample_rate_hz=16000", "data.crop_s=1", "data.num_folds=3", "augment=none", "optim=scratch",
    "model=panns_cnn14", "model.sample_rate_hz=16000", "model.mel.f_max_hz=8000", "model.mel.hop_samples=640",
    "model.channels=[4]", "model.time_pools=[2]", "model.freq_pools=[4]", "model.embedding_dim=8", "num_workers=0",
    "batch_size=4", "max_steps=1", "num_pictures=0", "trackers=[]", "evaluation.overlap=0.2", "evaluation.aggregate=mean",
)  # fmt: skip


@pytest.fixture
def run(forest, tmp_path, monkeypatch):
    """Train with overrides; returns the run folder."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")

    def train_with(*overrides):
        places = (f"data.root={forest}", f"output_dir={tmp_path / 'run'}")
        return train(load_settings(TrainSettings, "finetune", "train", [*SMALL, *places, *overrides]))

    return train_with


def test_the_saved_model_gives_the_scores_of_validation(run, forest, capsys):
    folder = run()
    assert "windows of" not in capsys.readouterr().out
    model, scores = load_model(str(folder / "model")), pd.read_parquet(folder / "oof.parquet")
    assert windows_in_force(model) == (1.0, 0.2, "mean"), "as long as the crops, the rest as validated"
    trained = model.config.train_prevalence  # saved, too
    assert len(trained) == 24 and all(value is None or 0 < value < 1 for value in trained)
    halves = WindowSettings(overlap=0.5, aggregate="max")
    for row in scores.to_dict("records"):
        audio = read_audio(forest / "train" / f"{row['recording_id']}.flac", sample_rate_hz=16_000)
        validated = [row[f"score_{species}"] for species in range(24)]
        np.testing.assert_allclose(
            predict_recording(model, torch.from_numpy(audio)).clip.numpy(), validated, rtol=1e-5
        )
        assert not np.allclose(predict_recording(model, torch.from_numpy(audio), halves).clip.numpy(), validated)


def test_a_window_of_another_length_is_said_aloud(run, capsys):
    folder = run("model.window_s=0.5")
    assert "windows of 0.5 s, but training crops of data.crop_s=1 s" in capsys.readouterr().out
    assert json.loads((folder / "model" / "config.json").read_text())["windows"] == {
        "window_s": 0.5,
        "overlap": 0.2,
        "aggregate": "mean",
    }
