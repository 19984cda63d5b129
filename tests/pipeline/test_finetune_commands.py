"""The fine-tuning programs through their real commands, on a tiny data set in RFCX's layout."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

from rfcx_ssl.models.modeling import RainforestSedModel

ROOT = Path(__file__).parents[2]
RATE, SECONDS = 16000, 4
SMALL = (
    "data.sample_rate_hz=16000", "model.sample_rate_hz=16000", "data.num_folds=2", "data.crop_s=1", "model.window_s=1",
    "model.mel.f_max_hz=8000", "num_workers=0", "batch_size=4", "max_steps=3", "log_every=1", "threads=1",
    "num_pictures=1", "schedule=constant",
)  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Twelve recordings of noise; each of three species is a tone, boxed once in most of them."""
    root = tmp_path_factory.mktemp("rfcx")
    (root / "train").mkdir()
    rng = np.random.default_rng(0)
    present, absent = [], []
    for i in range(12):
        name, species = f"rec{i:02d}", i % 3
        wave = 0.05 * rng.standard_normal(RATE * SECONDS)
        wave[RATE : 2 * RATE] += 0.3 * np.sin(2 * np.pi * (1000 + 1500 * species) * np.arange(RATE) / RATE)
        soundfile.write(root / "train" / f"{name}.flac", wave, RATE)
        present.append((name, species, 1, 1.0, 800.0, 2.0, 6000.0))
        absent.append((name, (species + 1) % 3, 1, 2.5, 800.0, 3.5, 6000.0))
    columns = ["recording_id", "species_id", "songtype_id", "t_min", "f_min", "t_max", "f_max"]
    pd.DataFrame(present, columns=columns).to_csv(root / "train_tp.csv", index=False)
    pd.DataFrame(absent, columns=columns).to_csv(root / "train_fp.csv", index=False)
    return root


def run(*command, code=0):
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr[-3000:]
    return done


def test_cross_validation_by_accelerate_launch(data, tmp_path):
    out = tmp_path / "cv"
    launcher = f"{sys.executable} -m accelerate.commands.launch --cpu"
    command = ("finetune/crossval.py", "--out", out, "--launcher", launcher, "--resamples", "50")
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", *SMALL)
    done = run(*command, *overrides)
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
    assert 0 <= summary["pooled"]["lwlrap"]["low"] <= summary["pooled"]["lwlrap"]["high"] <= 1


def test_two_processes_by_torchrun(data, tmp_path):
    folder = tmp_path / "run"
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2")
    overrides = ("model=panns_demo", "data=rfcx", f"data.root={data}", *SMALL)
    run(*torchrun, "finetune/train.py", *overrides, f"output_dir={folder}")
    record = json.loads((folder / "run.json").read_text())
    assert record["num_processes"] == 2
    assert record["finished"]
    assert len(pd.read_parquet(folder / "oof.parquet")) == record["validation_recordings"]


def test_every_mistake_is_named_at_once(tmp_path):
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
