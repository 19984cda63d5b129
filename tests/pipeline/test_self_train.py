"""Rounds of self-training by their real command: killed in trainings and while hearing, it ends as if nothing had happened."""

import csv
import json
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from rfcx_ssl.detection.journal import Journal
from rfcx_ssl.training.trainer import Trainer

ROOT = Path(__file__).parents[2]
PROGRAM = "finetune/self_train.py"
ROUNDS = """
train: [model=panns_demo, data=rfcx, data.sample_rate_hz=16000, model.sample_rate_hz=16000, data.num_folds=2, data.crop_s=1,
  model.window_s=1, model.mel.f_max_hz=8000, num_workers=0, batch_size=4, max_steps=2, threads=1, num_pictures=0, "trackers=[]"]
label: [batch_size=8, overlap=0.5, prevalence=table]
rounds: [{start: previous}]
drop_flagged: false
metric: box_auc
min_gain: -1.0
control_steps: 1
resamples: 10
"""
FOLDS = [f"seed_0/fold_{fold}" for fold in range(2)]


def kill_everything(*_):
    """What a lost machine does to the program and to what it started."""
    os.killpg(0, signal.SIGKILL)


def dies_in_training(arm, fold):
    """Before the second step of one training."""

    def patch(monkeypatch):
        take_step = Trainer.take_step

        def step(self, *args):
            if self.state.step == 1 and self.folder.path.parts[-3:] == (arm, "seed_0", f"fold_{fold}"):
                kill_everything()
            return take_step(self, *args)

        monkeypatch.setattr(Trainer, "take_step", step)

    return patch


def dies_hearing(monkeypatch):
    """When the second group of recordings was heard, and not noted."""
    add_group, calls = Journal.add_group, []

    def add(self, part, results):
        calls.append(part)
        if len(calls) == 2:
            kill_everything()
        add_group(self, part, results)

    monkeypatch.setattr(Journal, "add_group", add)


@pytest.fixture
def start(tones, tmp_path, forked, monkeypatch):
    """``start(out, dies)``: the command in a group of processes of its own; its exit code."""
    config = tmp_path / "own.yaml"
    config.write_text(ROUNDS)
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr("rfcx_ssl.training.launch.subprocess", SimpleNamespace(Popen=forked))
    hearing = ("--device", "cpu", "--readers", "0", "--threads", "1")

    def program(out):
        os.setsid()
        sys.argv = [PROGRAM, str(config), "--out", str(out), "--train", f"data.root={tones}", *hearing]
        runpy.run_path(PROGRAM, run_name="__main__")

    def run(out, dies=None):
        with monkeypatch.context() as patch:
            if dies:
                dies(patch)
            child = multiprocessing.get_context("fork").Process(target=program, args=(out,))
            child.start()
            child.join()
        return child.exitcode

    return run


def sessions(out):
    """How often each training was started."""
    return {
        str(file.parent.relative_to(out)): len(json.loads(file.read_text())["sessions"])
        for file in sorted(out.glob("*/seed_0/fold_*/run.json"))
    }


def rows(out):
    """rounds.csv without the folders."""
    with (out / "rounds.csv").open() as file:
        return [{name: cell for name, cell in row.items() if name != "folder"} for row in csv.DictReader(file)]


def test_killed_again_and_again_the_same_command_comes_to_the_same_end(start, tmp_path, children_can_train):
    if not children_can_train:  # then in a process whose children can
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", __file__]
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:]
        return
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert start(whole) == 0
    every = {f"{arm}/{place}": 1 for arm in ("control", "round_0", "round_1") for place in FOLDS}
    assert sessions(whole) == every

    assert start(killed, dies_in_training("round_0", 1)) == -signal.SIGKILL
    assert sessions(killed) == {"round_0/seed_0/fold_0": 1, "round_0/seed_0/fold_1": 1}
    assert start(killed, dies_hearing) == -signal.SIGKILL
    assert not list(killed.glob("round_1/labels/labels/*")) and "round_1/seed_0/fold_0" not in sessions(killed)
    assert start(killed, dies_in_training("round_1", 0)) == -signal.SIGKILL
    assert start(killed) == 0
    assert sessions(killed) == every | {"round_0/seed_0/fold_1": 2, "round_1/seed_0/fold_0": 2}

    assert rows(killed) == rows(whole)
    assert [row["arm"] for row in rows(whole)] == ["round_0", "round_1", "control"]
    labels = [sorted((out / "round_1" / "labels" / "labels").iterdir()) for out in (whole, killed)]
    assert [path.read_bytes() for path in labels[0]] == [path.read_bytes() for path in labels[1]]
    for arm, prior in (("round_0", None), ("round_1", "table"), ("control", None)):  # whose labels were prior-scaled
        for place in FOLDS:
            config, weights = ("model/config.json", "model/model.safetensors")
            assert json.loads((whole / arm / place / config).read_text()).get("scaled_prevalence") == prior
            ours, theirs = ((out / arm / place / weights).read_bytes() for out in (killed, whole))
            assert ours == theirs, (arm, place)
