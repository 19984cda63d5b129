"""Weights & Biases, really installed and offline; TensorBoard is tested with the loop."""

import json

import pytest
from safetensors.torch import load_file

from rfcx_ssl.training.trainer import Trainer

pytest.importorskip("wandb")


class Crash(Exception):
    """Ends the first session."""


def test_a_resumed_run_goes_on_under_its_id(run_toy, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    options = ("max_steps=10", "trackers=[wandb]", "num_pictures=1", "log_every=1")
    evaluate = Trainer.evaluate_if_due

    def crash(self):
        if self.state.step == 7:
            raise Crash
        evaluate(self)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "evaluate_if_due", crash)
        with pytest.raises(Crash):
            run_toy("run", *options)
    folder = run_toy("run", *options)
    run_id = (folder / ".wandb_id").read_text().strip()
    sessions = sorted((folder / "wandb").glob("offline-run-*"))
    assert len(sessions) == 2
    for session in sessions:
        record = (session / f"run-{run_id}.wandb").read_bytes()
        assert b"train/loss" in record and b"train/grad_norm" in record
        assert list((session / "files" / "media" / "images").rglob("*.png"))
    assert b"eval/lwlrap" in (sessions[-1] / f"run-{run_id}.wandb").read_bytes()
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if line["kind"] == "train"] == list(range(1, 11))
    assert load_file(folder / "model" / "model.safetensors")
