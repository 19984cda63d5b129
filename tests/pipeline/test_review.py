"""Detect, review, correct, train again: the loop through its real commands, on a made-up forest of tones."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from rfcx_ssl.cli import main
from rfcx_ssl.data import load_corpus
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species

ROOT = Path(__file__).parents[2]
RATE_HZ = 16_000
NAMES = rfcx_species().names
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
MODEL = "channels=[4,8] time_pools=[2,2] freq_pools=[2,2] embedding_dim=8 window_s=1 sample_rate_hz=16000 mel.f_max_hz=8000"
TRAIN = [
    "model=panns_demo", "data.sample_rate_hz=16000", "data.crop_s=1", "data.num_folds=2", "fold=null", "num_workers=0",
    "batch_size=4", "max_steps=2", "log_every=1", "threads=1", "num_pictures=0", "trackers=[]",
    *(f"model.{word}" for word in MODEL.split()),
]  # fmt: skip


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """Twelve recordings of 6 s; species i % 3 sings a tone from 2 to 3 s. Labels are of the first three."""
    root = tmp_path_factory.mktemp("forest")
    (root / "train").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        sound = 0.05 * rng.standard_normal(6 * RATE_HZ)
        sound[2 * RATE_HZ : 3 * RATE_HZ] += 0.3 * np.sin(
            2 * np.pi * (1000 + 1500 * (i % 3)) * np.arange(RATE_HZ) / RATE_HZ
        )
        soundfile.write(root / "train" / f"SITE{i % 2}_2024050{1 + i % 9}_0{i % 6}0000.flac", sound, RATE_HZ)
    names = sorted(path.stem for path in (root / "train").iterdir())
    rows = [f"{name},{i},1,2.0,800,3.0,6000" for i, name in enumerate(names[:3])]
    (root / "train_tp.csv").write_text(HEADER + "\n".join(rows) + "\n")
    torch.manual_seed(0)
    settings = PannsSettings(
        sample_rate_hz=RATE_HZ, channels=(4, 8), time_pools=(2, 2), freq_pools=(2, 2), embedding_dim=8, window_s=1.0,
        mel=MelSettings(n_mels=32, f_max_hz=8000.0),
    )  # fmt: skip
    build_model(settings, label_space(rfcx_species())).save_pretrained(root / "model")
    main(
        [
            "detect",
            str(root / "train"),
            "--model",
            str(root / "model"),
            "--out",
            str(root / "found"),
            "--device",
            "cpu",
        ]
    )
    return root


def ask(forest, out, *words):
    main(["review", str(forest / "found"), "--out", str(out), "--budget", "30", "--device", "cpu", *map(str, words)])
    with (out / "review.csv").open() as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def asked(forest):
    ask(forest, forest / "round1")
    return forest / "round1"


def test_what_is_written(forest, asked):
    assert {path.name for path in asked.iterdir()} == {
        "README.txt", "clips", "review.clips.txt", "review.csv", "review.json", "review.labels.txt",
        "review.selections.txt", "review.wav", "species.csv",
    }  # fmt: skip
    with (asked / "review.csv").open() as lines:
        plan = list(csv.DictReader(lines))
    assert len(plan) == 30 and {row["why"] for row in plan} == {"top", "threshold", "random", "diverse"}
    whole, rate = soundfile.read(asked / "review.wav", dtype="int16")
    assert rate == RATE_HZ
    for row in plan:
        clip = soundfile.read(asked / "clips" / row["clip"], dtype="int16")[0]
        at, start = round(float(row["at_s"]) * rate), round(float(row["clip_start_s"]) * rate)
        source = soundfile.read(forest / "train" / f"{row['recording']}.flac", dtype="int16")[0]
        assert np.array_equal(clip, whole[at : at + len(clip)])
        assert np.array_equal(clip, source[start : start + len(clip)])
        assert start / rate <= float(row["start_s"]) < float(row["end_s"]) <= (start + len(clip)) / rate + 1e-5
    record = json.loads((asked / "review.json").read_text())
    assert record["threshold"] == 0.5 and record["settings"]["budget"] == 30


def test_a_next_round_asks_anew(forest, asked, tmp_path):
    with (asked / "review.csv").open() as lines:
        first = list(csv.DictReader(lines))
    second = ask(forest, tmp_path / "round2", "--answered", asked, forest / "train_tp.csv")
    taken = {}
    labelled = [(row.split(",")[0], NAMES[int(row.split(",")[1])], "2.0", "3.0") for row in (forest / "train_tp.csv").read_text().splitlines()[1:]]  # fmt: skip
    for name, species, start, end in labelled + [
        (r["recording"], r["species"], r["start_s"], r["end_s"]) for r in first
    ]:
        taken.setdefault((name, species), []).append((float(start), float(end)))
    for row in second:
        met = taken.get((row["recording"], row["species"]), [])
        assert not any(float(row["start_s"]) < end and start < float(row["end_s"]) for start, end in met)


def test_an_existing_folder_is_not_touched(forest, asked, capsys):
    with pytest.raises(SystemExit) as stop:
        ask(forest, asked)
    assert stop.value.code == 2 and "may hold answers" in capsys.readouterr().err


def test_answers_reach_training(forest, asked, tmp_path, capsys):
    """The person says no to everything but the first, which another species is."""
    table = asked / "review.selections.txt"
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t"))
    other = next(name for name in NAMES if name != rows[0]["Annotation"])
    for row in rows:
        row["Answer"] = "no"
    rows[0]["Answer"] = other
    with table.open("w", newline="") as lines:
        writer = csv.DictWriter(lines, rows[0], delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
    answers = tmp_path / "answers.csv"
    main(["review", "--read", str(asked), "--annotator", "me", "--weight", "0.5", "--out", str(answers)])
    assert "30 questions, 0 present, 30 absent" in capsys.readouterr().out
    extra = f"extra_tables=['{answers}']"
    table = load_corpus(load_data_settings(forest, "rfcx", [extra, "num_folds=2"])).annotations.table
    assert (table["state"] == "absent").sum() == 30 and (table["state"] == "present").sum() == 4
    assert set(table[table["weight"] == 0.5]["state"]) == {"present", "absent"}
    words = [*TRAIN, f"data.root={forest}", f"data.{extra}", f"output_dir={tmp_path / 'run'}"]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "finetune/train.py", *words],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    main(["detect", str(forest / "train"), "--model", str(tmp_path / "run/model"), "--out", str(tmp_path / "found2"), "--device", "cpu"])  # fmt: skip
    assert (tmp_path / "found2" / "detect.json").is_file()
