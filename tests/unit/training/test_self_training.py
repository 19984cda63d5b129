"""Noisy students and mean teachers in runs on recordings: they go on exactly, and their settings reach the loop."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from rfcx_ssl.config import load_settings
from rfcx_ssl.labels.pseudo import write_pseudo_labels
from rfcx_ssl.training.train import TrainSettings, train
from rfcx_ssl.training.trainer import Trainer

SMALL = (
    "data=rfcx", "data.sample_rate_hz=16000", "data.crop_s=1", "data.num_folds=3", "augment=demo", "model=panns_cnn14",
    "model.sample_rate_hz=16000", "model.mel.f_max_hz=8000", "model.mel.hop_samples=640", "model.channels=[4]",
    "model.time_pools=[2]", "model.freq_pools=[4]", "model.embedding_dim=8", "num_workers=0", "batch_size=4",
    "max_steps=4", "save_every=2", "log_every=1", "num_pictures=0", "trackers=[]", "optim=scratch",
)  # fmt: skip
OPTIONS = (
    "data.pseudo.mix.p=0.8",
    "data.pseudo.min_probability=0.3",
    "mean_teacher.weight=2",
    "average.ema.decay=0.9",
)


class Crash(Exception):
    """Stands for whatever ends a process."""


@pytest.fixture
def run(forest, tmp_path, monkeypatch):
    """Train with two teachers of all recordings; crashes before step ``crash``."""
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    torch.set_num_threads(1)
    names, rng = [f"s{k}" for k in range(24)], np.random.default_rng(0)
    for teacher in range(2):
        rows = [(f"rec{i:02d}", rng.random((20, 24)).astype(np.float32), 1.0) for i in range(12)]
        write_pseudo_labels(tmp_path / f"teacher{teacher}.parquet", rows, output_names=names, frame_s=0.2)
    files = ",".join(str(tmp_path / f"teacher{teacher}.parquet") for teacher in range(2))

    def go(name, *overrides, crash=None):
        take_step = Trainer.take_step

        def stepped(self, *args):
            if self.state.step == crash:
                raise Crash
            return take_step(self, *args)

        places = (f"data.root={forest}", f"output_dir={tmp_path / name}", f"data.pseudo.files=[{files}]")
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "take_step", stepped)
            return train(load_settings(TrainSettings, "finetune", "train", [*SMALL, *places, *overrides]))

    return go


def test_a_noisy_student_with_a_mean_teacher_goes_on_exactly(run, metric_lines):
    whole = run("whole", *OPTIONS)
    with pytest.raises(Crash):
        run("broken", *OPTIONS, crash=3)
    broken = run("broken", *OPTIONS)
    assert len(json.loads((broken / "run.json").read_text())["sessions"]) == 2
    assert metric_lines(whole) == metric_lines(broken)
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (whole, broken))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    assert all(line["teacher_frame"] > 0 < line["teacher_clip"] for line in metric_lines(whole) if "loss" in line)
