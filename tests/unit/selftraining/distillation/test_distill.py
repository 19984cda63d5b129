"""Distillation as a run: a student comes to say what its teacher says, and its folder is a run folder like any other."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError, RunError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.provenance import file_sha256
from rfcx_ssl.selftraining.distillation.recordings import UnlabelledCrops
from rfcx_ssl.training.train import TrainSettings, train

SHORT = (
    "max_steps=6",
    "batch_size=4",
    "loss.embedding.weight=1",
    "save_every=2",
    "evaluation.every=3",
    "average.ema.decay=0.5",
)


def lines(folder, kind):
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    timings = ("audio_s_per_s", "steps_per_s", "loader_wait_share")
    return [{key: value for key, value in line.items() if key not in timings} for line in read if line["kind"] == kind]


def test_a_student_comes_to_agree_with_its_teacher_and_is_an_ordinary_model(run, teacher, student, forest, tmp_path):
    folder = run(
        "learned", "max_steps=120", "batch_size=8", "augment=none", "schedule=constant", "optim.encoder_lr=0.03",
        "optim.head_lr=0.03", "loss.clip_ratio=0", "average.ema.decay=0.9", "evaluation.every=60", "num_pictures=1",
    )  # fmt: skip
    before, after = lines(folder, "eval")
    assert after["agreement"] > 0.5 > before["agreement"]  # 0 is the best constant
    assert after["kl"] < 0.5 * after["kl_constant_floor"] and after["mse"] < 0.5 * after["mse_constant_floor"]
    assert {"box_auc", "lwlrap"} & after.keys() == set()  # it is not accuracy
    model = load_model(str(folder / "model"))
    assert model.space == load_model(str(teacher)).space
    names = [path.name for path in folder.iterdir()]
    assert {"agreement.csv", "run.json", "config.yaml"} <= set(names) and "oof.parquet" not in names
    assert list((folder / "plots").rglob("*.png"))
    record = json.loads((folder / "run.json").read_text())
    assert (record["kind"], record["finished"], record["select_metric"]) == ("distillation", True, "agreement")
    weights = teacher / "model.safetensors"
    assert record["data"]["sha256"][str(weights)] == file_sha256(weights)
    assert sum(record["data"]["unlabelled_recordings"].values()) == 8

    tuned = load_settings(
        TrainSettings, "finetune", "train",
        ["data=rfcx", f"data.root={forest}", "data.sample_rate_hz=8000", "data.crop_s=2", "data.num_folds=3", f"start.model={folder / 'model'}",
         "data.split_songtypes=true", *student, "max_steps=1", "batch_size=4", f"output_dir={tmp_path / 'tuned'}"],
    )  # fmt: skip
    assert load_model(str(train(tuned) / "model")).space == model.space


def test_resuming_equals_never_stopping(run, monkeypatch):
    whole = run("whole", *SHORT)
    read, calls = UnlabelledCrops.__getitem__, []

    def dying(self, index):
        calls.append(index)
        if len(calls) == 14:  # in the fourth step
            raise KeyboardInterrupt
        return read(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(UnlabelledCrops, "__getitem__", dying)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", *SHORT)
    stopped = run("stopped", *SHORT, "num_workers=1")
    for kind in ("train", "eval", "final"):
        assert lines(whole, kind) == lines(stopped, kind)
    ours, theirs = (load_file(folder / "model" / "model.safetensors") for folder in (whole, stopped))
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())
    assert not any("projection" in name for name in ours)  # they are the loss's


def test_another_teacher_is_another_run(run, settings_for, teacher, tmp_path):
    copy = shutil.copytree(teacher, tmp_path / "teacher")
    words = (f"teacher.models=[{copy}]", "max_steps=1", "batch_size=2")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "scaled_prevalence": "table"}))
    run("one", *words, "data.valid_share=0")
    student = json.loads((tmp_path / "one" / "model" / "config.json").read_text())
    assert student["scaled_prevalence"] == "table"  # a prior in the teacher's answers is in the student's
    run_file = tmp_path / "one" / "run.json"
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "finished": False}))
    (copy / "config.json").write_text(json.dumps({**config, "dtype": "float64"}))
    with pytest.raises(RunError, match=r"the data changed since this run started \(.*config.json changed\)"):
        run("one", *words, "data.valid_share=0")


def test_a_foreign_teacher_at_its_own_rate_with_an_embedding_alone(run, foreign, sounds, tmp_path):
    """It knows none of the species: its embedding is learned, and similarity of embeddings judges the student."""
    made = foreign(options="window_samples: 12000\n", samples="any", window=12_000)
    (tmp_path / "species.csv").write_text("name\nDodo\nMoa\n")
    words = (
        f"teacher.models=[{made.yaml}]",
        f"data.species_file={tmp_path / 'species.csv'}",
        "max_steps=2",
        "batch_size=2",
    )
    with pytest.raises(ConfigError, match=r"the teachers know none of the student's 2 species"):
        run("nothing", *words)
    with pytest.raises(ConfigError, match=r"mean_teacher is for cells that nobody judged"):
        run("nothing", *words, "mean_teacher.weight=2", "average.ema.decay=0.9")
    with pytest.raises(
        ConfigError, match=r"augment.mixup makes another sound of a crop than the teacher's embedding is of"
    ):
        run("mixed", *words, "loss.embedding.weight=1", "augment.mixup.p=0.5")
    folder = run("theirs", *words, "loss.embedding.weight=1", "loss.embedding.distance=mse")
    (final,) = lines(folder, "final")
    assert final["agreement"] is None and 0 <= final["cka_shuffled_floor"] <= 1 and 0 <= final["cka"] <= 1
    assert json.loads((folder / "run.json").read_text())["select_metric"] == "cka"
    assert load_model(str(folder / "model")).space.species_names == ("Dodo", "Moa")
    assert soundfile.info(next(sounds.rglob("*.wav"))).samplerate != 6_000
    assert np.isfinite(final["cka"])
