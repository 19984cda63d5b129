"""A run is the same whether it stops or not; in the test's own process, so crashes are exceptions here."""

import json
import re

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
    "average.ema.decay=0.9",
    "mean_teacher.weight=2",
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
    for name in ("oof.parquet", "oof_boxes.parquet"):
        pd.testing.assert_frame_equal(*(pd.read_parquet(folder / name) for folder in (one, other)), check_exact=True)


@pytest.mark.parametrize(
    ("method", "step"),
    [
        ("take_step", 0),  # before anything
        ("take_step", 6),  # mid-epoch (5 steps of 4 clips), mid log window, after the checkpoint at 4
        ("take_step", 11),  # third epoch
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
        clip = validation.predict(model, validation.source.read(row["recording_id"])).clip
        np.testing.assert_allclose([row[f"score_{s}"] for s in range(3)], clip, rtol=1e-6)
    truth = table[[f"truth_{s}" for s in range(3)]].to_numpy()
    np.testing.assert_array_equal(truth, validation.judged.truth)


def test_early_stopping_ends_the_run(run_toy, metric_lines):
    # With a learning rate of 0 no evaluation is better than the first.
    rates = ("optim.encoder_lr=0", "optim.head_lr=0", "optim.weight_decay=0")
    folder = run_toy("run", "max_steps=50", "evaluation.every=2", "evaluation.early_stop.patience=3", *rates)
    assert [line["step"] for line in metric_lines(folder) if line["kind"] == "eval"] == [2, 4, 6, 8]
    assert json.loads((folder / "run.json").read_text())["steps"] == 8


def test_without_validation_the_last_weights_are_kept(run_toy):
    folder = run_toy("run", "max_steps=5", parts={"validation": None})
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
        crash_at(patch, "take_step", 7)
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


def partial(toy):
    return lambda: toy.toy_validation(known=lambda truth: truth)


def test_partial_labels_choose_the_best_weights_by_boxes(run_toy, toy, metric_lines):
    options = ("max_steps=20", "optim.head_lr=0.3", "evaluation.every=2", "evaluation.select_metric=auto")
    folder = run_toy("run", *options, parts={"validation": partial(toy)})
    lines = metric_lines(folder)
    evaluations = {line["step"]: line["box_auc"] for line in lines if line["kind"] == "eval"}
    best = max(evaluations, key=evaluations.get)
    assert [path.name for path in (folder / "best").iterdir()] == [f"step_{best:07d}"]
    assert all(line["lwlrap"] is None for line in lines if line["kind"] != "train")
    record = json.loads((folder / "run.json").read_text())
    assert record["select_metric"] == "box_auc"
    assert record["metrics"]["box_auc"] == evaluations[best]
    assert record["metrics"]["lwlrap"] is None
    boxes = pd.read_parquet(folder / "oof_boxes.parquet")
    assert len(boxes) == 21


def test_a_score_stands_beside_its_floors(run_toy, capsys):
    run_toy("run", "max_steps=5")
    lines = capsys.readouterr().err.splitlines()
    judged = [line for line in lines if " eval: " in line or " final: " in line]
    assert len(judged) == 2
    for line in judged:
        assert re.search(
            r"lwlrap 0\.\d{4} \(random 0\.\d{4}, prior 0\.\d{4}\), box_auc \d\.\d{4} \(random 0\.5000\)", line
        )
    assert any("7 validation recordings: " in line and "chosen by lwlrap" in line for line in lines)


def test_positives_alone_train_without_a_perfect_score(run_toy, toy, capsys, metric_lines):
    def validation():
        boxes = lambda truth: tuple(tuple(b for b in boxes if b.present) for boxes in toy.toy_boxes(truth))  # noqa: E731
        return toy.toy_validation(known=lambda truth: truth, boxes=boxes)

    options = ("max_steps=10", "evaluation.select_metric=auto")
    folder = run_toy("run", *options, parts={"validation": validation})
    said = capsys.readouterr().err
    assert "absent boxes" in said and "data.complete_file" in said and "the last weights are kept" in said
    assert "eval: nothing can be judged" in said and "1.0000" not in said
    lines = [line for line in metric_lines(folder) if line["kind"] != "train"]
    assert [line["kind"] for line in lines] == ["eval", "eval", "final"]
    assert {value for line in lines for key, value in line.items() if key not in ("kind", "step", "known_share")} == {
        None
    }
    record = json.loads((folder / "run.json").read_text())
    assert record["selected"] == "last" and record["select_metric"] is None
    with pytest.raises(ConfigError, match=r"evaluation.early_stop needs something to judge; 7 validation recordings"):
        run_toy("patient", *options, "evaluation.early_stop.patience=2", parts={"validation": validation})


def test_the_random_numbers_of_a_step_are_set_once(run_toy, monkeypatch):
    from rfcx_ssl.training import learner

    seeds, states = [], []
    original, forward = learner.seed_everything, learner.LossOfBatch.forward

    def seed(*arguments):
        seeds.append(arguments[1])
        return original(*arguments)

    def record(self, batch):
        states.append(torch.get_rng_state())
        return forward(self, batch)

    monkeypatch.setattr(learner, "seed_everything", seed)
    monkeypatch.setattr(learner.LossOfBatch, "forward", record)
    run_toy("plain", "max_steps=4", parts={"dropout": 0.5})
    assert seeds == [0, 1, 2, 3]
    seeds.clear(), states.clear()
    run_toy("sam", "max_steps=2", "optim.sam_radius=0.1", "micro_batch_size=2", parts={"dropout": 0.5})
    assert seeds == [0, 0, 1, 1]
    for first in (0, 4):  # two micro-batches, twice: the second pass drops what the first one dropped
        assert torch.equal(states[first], states[first + 2]) and torch.equal(states[first + 1], states[first + 3])
        assert not torch.equal(states[first], states[first + 1])
