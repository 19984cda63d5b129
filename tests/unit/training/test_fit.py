"""A run is the same whether it stops or not; in the test's own process, so crashes are exceptions here."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.training.trainer import Trainer

EVERYTHING = (
    "max_steps=14",
    "optim.freeze.until=9",
    "average.ema_decay=0.9",
    "average.top_k=2",
    "average.swa_start=0.3",
)


class Crash(Exception):
    """Stands for whatever ends a process."""


def crash_at(monkeypatch, method, step):
    """Let the trainer's ``method`` crash at ``step``, before it does anything."""
    original = getattr(Trainer, method)

    def crash(self, *args):
        if self.state.step == step:
            raise Crash
        return original(self, *args)

    monkeypatch.setattr(Trainer, method, crash)


def assert_same_run(one, other, metric_lines):
    assert metric_lines(one) == metric_lines(other)
    for name, value in load_file(one / "model" / "model.safetensors").items():
        assert torch.equal(value, load_file(other / "model" / "model.safetensors")[name]), name
    pd.testing.assert_frame_equal(
        pd.read_parquet(one / "oof.parquet"), pd.read_parquet(other / "oof.parquet"), check_exact=True
    )


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("augment", 0),  # before anything
        ("augment", 6),  # mid-epoch (5 steps of 4 clips), mid log window, after the checkpoint at 4
        ("augment", 11),  # third epoch
        ("save", 8),  # before a checkpoint
        ("evaluate_if_due", 5),  # before an evaluation
        ("_publish", 10),  # in the middle of one
        ("_publish", 14),
    ],
)
def test_resuming_equals_never_stopping(run_toy, metric_lines, monkeypatch, method, step):
    whole = run_toy("whole", *EVERYTHING, parts={"dropout": 0.3, "batch_norm": True})
    with monkeypatch.context() as patch:
        crash_at(patch, method, step)
        with pytest.raises(Crash):
            run_toy("broken", *EVERYTHING, parts={"dropout": 0.3, "batch_norm": True})
    broken = run_toy("broken", *EVERYTHING, parts={"dropout": 0.3, "batch_norm": True})
    assert_same_run(whole, broken, metric_lines)
    assert len(json.loads((broken / "run.json").read_text())["sessions"]) == 2


def test_repeated_run_is_a_no_op(run_toy, metric_lines):
    folder = run_toy("run", "max_steps=6")
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    run_toy("run", "max_steps=6")
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}
    written = {path.name for path in before if before[path] != after.get(path)}
    assert written <= {"run.json", "config.yaml"}  # a new session is noted, nothing else changes


def test_training_learns(run_toy, metric_lines):
    folder = run_toy("run", "max_steps=40", "optim.encoder_lr=0.03", "optim.head_lr=0.03", "log_every=10")
    losses = [line["loss"] for line in metric_lines(folder) if line["kind"] == "train"]
    assert losses == sorted(losses, reverse=True)  # means over 10 steps each
    assert losses[-1] < 0.9 * losses[0]
    assert metric_lines(folder)[-1]["lwlrap"] > 0.9


def test_model_is_the_best_evaluation(run_toy, metric_lines):
    folder = run_toy("run", "max_steps=20", "optim.head_lr=0.3")
    lines = metric_lines(folder)
    evaluations = {line["step"]: line["lwlrap"] for line in lines if line["kind"] == "eval"}
    best = max(evaluations, key=evaluations.get)  # the first of equals, as dicts keep order
    assert lines[-1]["kind"] == "final"
    assert lines[-1]["lwlrap"] == evaluations[best]
    assert [path.name for path in (folder / "best").iterdir()] == [f"step_{best:07d}"]
    final = load_file(folder / "model" / "model.safetensors")
    kept = load_file(folder / "best" / f"step_{best:07d}" / "model.safetensors")
    assert all(torch.equal(final[name], kept[name]) for name in final)


def test_oof_scores_belong_to_the_model(run_toy, toy):
    folder = run_toy("run", "max_steps=5")
    table = pd.read_parquet(folder / "oof.parquet")
    model = toy.ToyModel()
    model.load_state_dict(load_file(folder / "model" / "model.safetensors"))
    model.eval()
    validation = toy.toy_validation()
    for _, row in table.iterrows():
        clip = validation.predict(model, validation.read(row["recording_id"])).clip
        np.testing.assert_allclose([row[f"score_{s}"] for s in range(3)], clip, rtol=1e-6)
    truth = table[[f"truth_{s}" for s in range(3)]].to_numpy()
    np.testing.assert_array_equal(truth, validation.truth)


def test_early_stopping_ends_the_run(run_toy, metric_lines):
    # With a learning rate of 0 no evaluation is better than the first.
    rates = ("optim.encoder_lr=0", "optim.head_lr=0", "optim.weight_decay=0")
    folder = run_toy("run", "max_steps=50", "evaluation.every=2", "evaluation.patience=3", *rates)
    assert [line["step"] for line in metric_lines(folder) if line["kind"] == "eval"] == [2, 4, 6, 8]
    assert json.loads((folder / "run.json").read_text())["steps"] == 8


def test_without_validation_the_last_weights_are_kept(run_toy):
    folder = run_toy("run", "max_steps=5", parts={"validation": False})
    assert not (folder / "oof.parquet").exists()
    saved = torch.load(folder / "checkpoints" / "step_0000005" / "tensors.pt", weights_only=True)["module"]
    final = load_file(folder / "model" / "model.safetensors")
    assert all(torch.equal(final[name], saved[f"model.{name}"]) for name in final)


def test_accumulation_equals_a_larger_batch(run_toy, metric_lines):
    steps = (
        "max_steps=6",
        "batch_size=6",
        "optim.kind=sgd",
        "optim.momentum=0",
        "optim.nesterov=false",
        "log_every=1",
    )
    whole = run_toy("whole", *steps, parts={"augment": False})
    parts = run_toy("parts", *steps, "micro_batch_size=2", parts={"augment": False})
    for key in ("loss", "grad_norm"):
        one, other = ([line[key] for line in metric_lines(folder) if key in line] for folder in (whole, parts))
        assert one == pytest.approx(other, rel=1e-5)
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (whole, parts))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-5, atol=1e-6)


def test_epochs_count_crops(run_toy, metric_lines):
    folder = run_toy("run", "epochs=1.5", "max_steps=null")
    assert metric_lines(folder)[-1]["step"] == round(1.5 * 20 / 4)


def test_unknown_selection_metric_fails_before_training(run_toy, tmp_path):
    with pytest.raises(ConfigError, match=r"select_metric=lwrap: unknown metric; known: lwlrap, "):
        run_toy("run", "max_steps=5", "evaluation.select_metric=lwrap")
    assert not list((tmp_path / "run" / "checkpoints").iterdir())


def test_other_settings_are_refused_by_name(run_toy):
    run_toy("run", "max_steps=5")
    with pytest.raises(RunError, match=r"other settings \(optim.head_lr: 0.001 -> 0.1; seed: 0 -> 1\)"):
        run_toy("run", "max_steps=5", "seed=1", "optim.head_lr=0.1")


def test_operational_settings_may_change(run_toy, metric_lines, monkeypatch):
    whole = run_toy("whole", "max_steps=10")
    with monkeypatch.context() as patch:
        crash_at(patch, "augment", 7)
        with pytest.raises(Crash):
            run_toy("broken", "max_steps=10")
    assert_same_run(whole, run_toy("broken", "max_steps=10", "save_every=3", "keep_last=5"), metric_lines)


def test_pictures_and_tensorboard(run_toy, toy):
    folder = run_toy("run", "max_steps=5", "num_pictures=2", "trackers=[tensorboard]", "log_every=1")
    assert len(list((folder / "plots" / "step_0000005").glob("*.png"))) == 2
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    assert {"train/loss", "train/frame", "train/clip", "train/grad_norm", "eval/lwlrap"} <= set(
        events.Tags()["scalars"]
    )
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5]
    assert events.Tags()["images"]


def test_a_model_handed_over_in_evaluation_mode_is_trained_all_the_same(run_toy, toy, metric_lines, monkeypatch):
    # transformers' from_pretrained returns evaluation mode: dropout would be off until the first validation.
    expected = run_toy("one", "max_steps=6", parts={"dropout": 0.5, "batch_norm": True})
    original = toy.toy_parts

    def in_evaluation_mode(**arguments):
        parts = original(**arguments)
        parts.model.encoder.eval()
        return parts

    monkeypatch.setattr(toy, "toy_parts", in_evaluation_mode)
    assert_same_run(expected, run_toy("two", "max_steps=6", parts={"dropout": 0.5, "batch_norm": True}), metric_lines)
