"""The fine-tuning programs through their real commands, on a tiny data set in RFCX's layout."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from rfcx_ssl.models.modeling import RainforestSedModel

ROOT = Path(__file__).parents[2]
RATE, SECONDS = 16000, 4
SMALL = (
    "data.sample_rate_hz=16000", "model.sample_rate_hz=16000", "data.num_folds=2", "data.crop_s=1", "model.window_s=1",
    "model.mel.f_max_hz=8000", "num_workers=0", "batch_size=4", "max_steps=3", "log_every=1", "threads=1",
    "num_pictures=1", "schedule=constant",
)  # fmt: skip


@pytest.fixture
def data(tones):
    """:func:`tones`."""
    return tones


def launched(*command):
    """A command in a process of its own; those of the programs' own making come on top."""
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def test_cross_validation_by_accelerate_launch(data, tmp_path):
    out = tmp_path / "cv"
    launcher = f"{sys.executable} -m accelerate.commands.launch --cpu"
    command = ("finetune/crossval.py", "--out", out, "--launcher", launcher, "--resamples", "50")
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", *SMALL)
    done = launched(*command, *overrides)
    assert "lwlrap" in done.stdout
    for fold in (0, 1):
        folder = out / "seed_0" / f"fold_{fold}"
        record = json.loads((folder / "run.json").read_text())
        assert record["finished"]
        assert record["fold"] == fold
        assert record["train_s"] > 0
        assert len(record["data"]["sha256"][str(data / "train_tp.csv")]) == 64
        assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["kind"] == "panns"
        model = RainforestSedModel.from_pretrained(folder / "model")
        assert sum(p.numel() for p in model.parameters()) == record["num_parameters"]
        assert list((folder / "plots").glob("*/*.png"))
    table = pd.read_parquet(out / "oof.parquet")
    assert sorted(table["recording_id"]) == [f"rec{i:02d}" for i in range(12)]
    summary = json.loads((out / "crossval.json").read_text())
    assert summary["recordings"] == 12
    assert summary["boxes"] == len(pd.read_parquet(out / "oof_boxes.parquet")) == 24
    # No recording is complete: only boxes are judged.
    assert 0 <= summary["pooled"]["box_auc"]["low"] <= summary["pooled"]["box_auc"]["high"] <= 1
    assert summary["pooled"]["lwlrap"]["value"] is None
    assert "lwlrap   not judged, which needs complete recordings" in done.stdout


def test_a_label_budget_trains_as_if_nobody_had_made_the_other_labels(run, data, tmp_path):
    folds, budget = tmp_path / "folds.csv", tmp_path / "budget"
    shared = ("model=panns_demo", "data=rfcx", f"data.folds_file={folds}", "data.class_balanced=false", *SMALL)
    words = (*shared, f"data.root={data}", "data.labels_per_species=1", f"output_dir={budget}")
    line = "labels: 3 of 6 training recordings (data.labels_per_species=1, data.label_seed=0), 3 species covered"
    assert run("finetune/train.py", *words).stdout.count(line) == 1
    kept = pd.read_csv(budget / "labels.csv")
    assert sorted(kept["species_id"]) == [0, 1, 2] and set(kept["state"]) == {"present"}
    assert kept[["rank", "stratum_size", "present_boxes", "absent_boxes"]].to_numpy().tolist() == [[1, 2, 1, 1]] * 3
    record = json.loads((budget / "run.json").read_text())
    digest = hashlib.sha256((budget / "labels.csv").read_bytes()).hexdigest()
    assert record["data"]["sha256"]["labels.csv"] == digest
    assert record["data"]["recordings"] == {"train": 3, "valid": 6} and record["validation_recordings"] == 6

    fold_of = pd.read_csv(folds).set_index("recording_id")["fold"]
    root = tmp_path / "cut"  # the other labels were never made
    root.mkdir()
    (root / "train").symlink_to(data / "train")
    for name in ("train_tp.csv", "train_fp.csv"):
        table = pd.read_csv(data / name)
        known = table["recording_id"].isin(kept["recording_id"]) | (table["recording_id"].map(fold_of) == 0)
        table[known].to_csv(root / name, index=False)
    run("finetune/train.py", *shared, f"data.root={root}", f"output_dir={tmp_path / 'plain'}")
    for name in ("model/model.safetensors", "oof.parquet", "oof_boxes.parquet"):
        assert (budget / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()

    done = run("finetune/train.py", *words, "data.label_seed=1", code=2)
    assert "holds a run with other settings (data.label_seed: 0 -> 1)" in done.stderr


def test_cross_validation_within_a_label_budget(run, data, tmp_path):
    out = tmp_path / "cv"
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", "data.labels_per_species=1", *SMALL)
    done = run("finetune/crossval.py", "--out", out, "--resamples", "50", *overrides)
    assert done.stdout.count("labels: 3 of 6 training recordings (data.labels_per_species=1") == 2
    scored = {}
    for fold in (0, 1):
        folder = out / "seed_0" / f"fold_{fold}"
        scored[fold] = set(pd.read_parquet(folder / "oof.parquet")["recording_id"])
        kept = pd.read_csv(folder / "labels.csv")
        assert len(kept) == 3 and not set(kept["recording_id"]) & scored[fold]
    assert len(scored[0] | scored[1]) == 12  # every recording is validated once, with all its boxes
    assert json.loads((out / "crossval.json").read_text())["boxes"] == 24


def test_a_sweep_varies_the_label_budget(run, data, tmp_path):
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", "data.label_fraction=0.5,1.0", *SMALL)
    done = run("finetune/sweep.py", "--out", tmp_path / "sweep", *overrides)
    assert "labels: 3 of 6 training recordings (data.label_fraction=0.5" in done.stdout
    assert "labels: all 6 training recordings (data.label_fraction=1 leaves none out)" in done.stdout
    folders = {x: tmp_path / "sweep" / f"data.label_fraction={x}" / "labels.csv" for x in ("0.5", "1.0")}
    small, large = (set(pd.read_csv(path)["recording_id"]) for path in folders.values())
    assert len(small) == 3 and len(large) == 6 and small < large


def test_lists_of_numbers_may_stand_before_settings(run, data, tmp_path):
    # The words of docs/finetuning.md, with a launcher that prints what it would start.
    command = (
        "--out",
        tmp_path,
        "--folds",
        "0",
        "2",
        "--seeds",
        "0",
        "1",
        "2",
        "model=panns_demo",
        "--launcher",
        "echo",
    )
    overrides = ("data=rfcx", f"data.root={data}", "max_steps=10")
    done = run("finetune/crossval.py", *command, *overrides, code=2)  # nothing was trained: no scores to pool
    assert "no oof.parquet in" in done.stderr
    started = done.stdout.splitlines()
    assert [line.split()[-3:-1] for line in started] == [[f"fold={f}", f"seed={s}"] for s in (0, 1, 2) for f in (0, 2)]
    assert all("model=panns_demo data=rfcx" in line and "max_steps=10" in line for line in started)


def test_devices_may_stand_before_settings(run, data, tmp_path):
    command = ("--out", tmp_path, "--launcher", "echo", "--devices", "0", "1", "model=panns_demo", "seed=3,4")
    done = run("finetune/sweep.py", *command, "data=rfcx", f"data.root={data}", "max_steps=10")
    assert done.stdout.count("not started") == 2
    logs = sorted(path.name for path in (tmp_path / "logs").iterdir())
    assert [name.split("_")[-1] for name in logs] == ["seed=3.log", "seed=4.log"]


def test_positive_labels_alone_give_no_score(run, data, tmp_path):
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(data / "train")
    (root / "train_tp.csv").write_text((data / "train_tp.csv").read_text())
    folder = tmp_path / "run"
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={root}", "data.absent_share=0", *SMALL)
    errors = run("finetune/train.py", *overrides, f"output_dir={folder}").stderr
    assert "no whole recording is judged, which needs complete recordings (data.complete_file)" in errors
    assert "no box is judged, which needs absent boxes" in errors
    assert "final: nothing can be judged" in errors and "1.0000" not in errors
    assert json.loads((folder / "run.json").read_text())["metrics"]["lwlrap"] is None


def test_two_processes_by_torchrun(data, tmp_path):
    folder = tmp_path / "run"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", *SMALL)
    launched(*torchrun, "finetune/train.py", *overrides, f"output_dir={folder}")
    record = json.loads((folder / "run.json").read_text())
    assert record["num_processes"] == 2
    assert record["finished"]
    assert len(pd.read_parquet(folder / "oof.parquet")) == record["validation_recordings"]


def test_every_mistake_is_named_at_once(run, tmp_path):
    errors = run(
        "finetune/train.py", "model=panns_demo", "data.root=x", f"output_dir={tmp_path}", "optim.head_lrr=1",
        "batch_size=many", "evaluation.overlap=1.5", "max_steps=1", code=2,
    ).stderr  # fmt: skip
    (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
    for part in (
        "optim.head_lrr: unknown key, did you mean 'head_lr'?",
        "batch_size='many'",
        "overlap=1.5 must be in",
    ):
        assert part in line
    assert "Traceback" not in errors
