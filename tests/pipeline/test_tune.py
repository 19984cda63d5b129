"""``rfcx-ssl tune`` as a user runs it, on a small forest and a run folder; then evaluate uses what was decided."""

import csv
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from rfcx_ssl.cli import main
from rfcx_ssl.config import load_settings
from rfcx_ssl.decoding.decisions_file import read_decisions
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import label_space, rfcx_species
from rfcx_ssl.synth.forest import generate
from rfcx_ssl.synth.settings import SynthSettings

SPECIES = rfcx_species().names


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forest") / "rfcx"
    settings = load_settings(SynthSettings, "synth", "tiny", ["train_recordings=8", "test_recordings=3"])
    generate(folder, settings, workers=1, progress=False)
    (folder / "recordings.csv").unlink()  # no sites: evaluation has one group to judge
    return folder


@pytest.fixture
def run(forest, tmp_path):
    """A run folder with an untrained model and the scores of a validation side, present boxes above 0.8."""
    torch.manual_seed(0)
    settings = PannsSettings(sample_rate_hz=16_000, channels=(4,), time_pools=(16,), freq_pools=(2,), embedding_dim=8, window_s=2.0, mel=MelSettings(n_mels=16, f_max_hz=8000.0))  # fmt: skip
    build_model(settings, label_space(rfcx_species())).save_pretrained(tmp_path / "run" / "model")
    data = {"root": str(forest), "audio_folders": ["train"], "max_recordings": None}
    (tmp_path / "run" / "run.json").write_text(
        json.dumps({"config": {"data": data}, "data": {"recordings_sha256": {}}})
    )
    names, rng = [f"r{n:02d}" for n in range(20)], np.random.default_rng(0)
    rows = {"recording_id": names, "fold": 0, "seed": 0}
    for species in range(24):
        rows |= {f"{part}_{species}": 0.1 for part in ("score", "prior", "peak")}
        rows |= {f"truth_{species}": False, f"known_{species}": False}
    pd.DataFrame(rows).to_parquet(tmp_path / "run" / "oof.parquet")
    present = np.arange(20) < 10
    scores = np.where(present, rng.uniform(0.85, 0.95, 20), rng.uniform(0.55, 0.75, 20))
    boxes = {"recording_id": names, "box": 0, "species_id": 3, "start_s": 0.0, "end_s": 1.0, "present": present}
    pd.DataFrame({**boxes, "score": scores, "fold": 0, "seed": 0}).to_parquet(tmp_path / "run" / "oof_boxes.parquet")
    return tmp_path / "run"


def rows_of(path):
    with path.open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_out_of_fold_scores_decide_without_any_audio(run, tmp_path, capsys):
    main(["tune", str(run), "--oof", "--out", str(tmp_path / "tuned"), "--threads", "1"])
    said = capsys.readouterr().out
    assert "Out-of-fold scores of 20 recordings" in said and "1 of 24 species by themselves" in said
    decisions = read_decisions(run / "model" / "decisions.json")
    assert decisions.species == SPECIES and decisions.about["judged_by"] == "boxes"
    rows = rows_of(tmp_path / "tuned" / "tune.csv")
    assert len(rows) == 25 and rows[3]["decided_by"] == "own" and rows[-1]["species"] == "all species"
    assert 0.75 < float(rows[3]["threshold"]) <= 0.85
    assert (float(rows[3]["f1"]), float(rows[3]["cv_f1"])) == (1.0, 1.0) and float(rows[3]["default_f1"]) < 0.7
    report = (tmp_path / "tuned" / "report.md").read_text()
    assert "flatters" in report and "reliability.png" in report
    assert {path.name for path in (tmp_path / "tuned").iterdir()} == {"tune.csv", "reliability.csv", "reliability.png", "report.md", "report.html"}  # fmt: skip


def test_complete_truth_decides_and_evaluate_uses_it(run, forest, tmp_path, capsys):
    words = [str(run), "--labels", str(forest), "--device", "cpu", "--threads", "1"]
    main(["tune", *words, "--out", str(tmp_path / "dry"), "--dry-run", "--criterion", "false-alarms=30"])
    assert "Judged by calls, criterion false-alarms=30" in capsys.readouterr().out
    assert not (run / "model" / "decisions.json").exists()
    dry = read_decisions(tmp_path / "dry" / "decisions.json")
    assert dry.about["criterion"] == "false-alarms=30" and dry.about["warnings"] == []

    shutil.copytree(run, tmp_path / "untuned")
    main(["tune", *words, "--out", str(tmp_path / "tuned")])
    capsys.readouterr()
    main(
        ["evaluate", f"untuned={tmp_path / 'untuned'}", *words, "--resamples", "2", "--out", str(tmp_path / "judged")]
    )
    said = capsys.readouterr().out
    assert (
        "run: boxes, segments and events by its own decisions (criterion f1" in said and "untuned: boxes" not in said
    )
    rows = {row["model"]: row for row in rows_of(tmp_path / "judged" / "evaluation.csv") if row["group_by"] == "all"}
    untuned, tuned = rows["untuned"], rows["run"]
    assert float(tuned["segment_f1"]) > float(untuned["segment_f1"]) and tuned["psds"] == untuned["psds"]


def test_change_points_are_tuned_and_detect_uses_them(run, forest, tmp_path, capsys):
    words = ["--device", "cpu", "--threads", "1"]
    main(
        [
            "tune",
            str(run),
            "--labels",
            str(forest),
            "--decoder",
            "change_point",
            *words,
            "--out",
            str(tmp_path / "tuned"),
        ]
    )
    assert "Judged by calls, criterion f1, decoder change_point" in capsys.readouterr().out
    decisions = read_decisions(run / "model" / "decisions.json")
    assert decisions.decoder == "change_point"
    rows = {row["species"]: row for row in rows_of(tmp_path / "tuned" / "tune.csv")}
    for species, name in enumerate(decisions.species):
        row = rows.get(name, rows["all species"])
        assert row["decoder"] == "change_point" and row["median_s"] == ""
        for key in ("threshold", "step_filter_s", "merge_absolute", "merge_relative", "min_duration_s"):
            assert float(row[key]) == pytest.approx(getattr(decisions, key)[species], rel=1e-5)
    out = tmp_path / "found"
    main(["detect", str(forest / "test"), "--model", str(run / "model"), *words, "--readers", "0", "--out", str(out)])
    assert "events: change_point, threshold " in (said := capsys.readouterr().err) and "tuned (criterion f1" in said
    told = json.loads((out / "detect.json").read_text())["decisions"]
    assert list(told["step_filter_s"].values()) == decisions.step_filter_s.tolist() and "median_s" not in told


def test_recordings_that_a_model_learned_from_are_a_warning_that_stays(run, forest, tmp_path, capsys):
    words = [
        "--labels",
        str(forest),
        "--config",
        "rfcx",
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--threads",
        "1",
    ]
    with pytest.raises(SystemExit) as stop:  # eight recordings hold too few boxes of any species
        main(["tune", str(run), *words, "--min-positives", "1000"])
    assert stop.value.code == 2 and "nothing can be tuned: it takes 1000 of both" in capsys.readouterr().err
    (run / "oof.parquet").unlink()
    main(["tune", str(run), *words, "--min-positives", "2"])
    assert "WARNING: run has learned from 8 of the 8 recordings judged here" in capsys.readouterr().out
    warnings = read_decisions(run / "model" / "decisions.json").about["warnings"]
    assert any("has learned from 8" in warning for warning in warnings)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--oof", "--criterion", "false-alarms=1"), "false alarms by the hour need hours of complete recordings"),
        (("--oof", "--criterion", "best"), "--criterion best: must be f1"),
        (("--oof", "--fold", "0"), "--oof: reads no labels"),
        ((), "one of the arguments --labels --oof is required"),
    ],
)
def test_mistakes_end_with_one_line_and_code_2(run, tmp_path, capsys, words, message):
    with pytest.raises(SystemExit) as stop:
        main(["tune", str(run), "--out", str(tmp_path / "out"), *words])
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and message in line
