"""The whole comparison on three short recordings and two untrained models, and the program around it."""

import base64
import csv
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console

from rfcx_ssl.audio import read_audio
from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.report.compare import CompareRequest, GateError, compare, require_gates
from rfcx_ssl.report.gates import Promise
from rfcx_ssl.species import label_space, rfcx_species

PROMISES = (Promise("best", "prior", 0.1), Promise("one", "two", 0.03))
PROGRAM = Path(__file__).parents[3] / "finetune" / "compare.py"


def save_model(folder, seed):
    torch.manual_seed(seed)
    settings = PannsSettings(
        channels=(4, 8),
        time_pools=(2, 2),
        freq_pools=(2, 2),
        embedding_dim=8,
        mel=MelSettings(n_mels=16),
        window_s=1.0,
    )
    build_model(settings, label_space(rfcx_species())).save_pretrained(folder)
    return folder


@pytest.fixture
def models(tmp_path):
    return {name: save_model(tmp_path / name, seed) for seed, name in enumerate(("one", "two"))}


def test_everything_is_written_and_agrees(forest, models, tmp_path):
    request = CompareRequest(data=forest, out=tmp_path / "out", runs=models, promises=PROMISES, resamples=20)
    result = compare(request, Console(quiet=True))
    with (request.out / "comparison.csv").open() as lines:
        rows = {row["system"]: row for row in csv.DictReader(lines)}
    assert list(rows) == ["random ranking (floor)", "class prior (floor)", "one", "two"]
    assert float(rows["one"]["lwlrap_prior"]) == pytest.approx(result.scaled["one"].ranking.overall, rel=1e-5)
    assert float(rows["one"]["times_real_time"]) > 0 and int(rows["one"]["parameters"]) > 100
    assert rows["one"]["train_s"] == "" and rows["random ranking (floor)"]["lwlrap_prior"] == ""
    gates = json.loads((request.out / "gates.json").read_text())
    assert [gate["required"] for gate in gates] == [0.1, 0.03]
    assert [gate["score"] for gate in gates] == ["LWLRAP with prior", "LWLRAP"]
    assert gates[1]["value"] == result.raw["one"].ranking.overall - result.raw["two"].ranking.overall
    assert gates[1]["map_macro"]["value"] == result.raw["one"].precision.macro - result.raw["two"].precision.macro
    assert [gate["holds"] for gate in gates] == [gate["value"] >= gate["required"] for gate in gates]
    with (request.out / "species.csv").open() as lines:
        by_species = [row for row in csv.DictReader(lines) if row["system"] == "two"]
    assert [row["calls"] for row in by_species[:4]] == ["1", "0", "0", "3"]
    page = (request.out / "report.html").read_text()
    assert not re.search(r"(src|href)=['\"]?https?:", page), "the page must not fetch anything"
    pictures = re.findall(r"data:image/png;base64,([^']+)", page)
    assert len(pictures) == 2 and all(base64.b64decode(p).startswith(b"\x89PNG") for p in pictures)
    for name in ("one", "two", "class prior (floor)", f"{result.scaled['one'].ranking.overall:.3f}"):
        assert name in page
    lead = re.search(r"<p class='lead'>(.*?)</p>", page, re.DOTALL).group(1)
    assert f"3 test recordings of {forest.name} with 4 calls" in lead
    for measure in ("LWLRAP raw", "+ prior", "mAP", "PSDS"):
        assert re.search(rf"{re.escape(measure)} (one|two) 0\.\d+ \(floor", lead), (
            "none of them alone names a best model"
        )
    assert "ynthetic" not in page
    assert page.count("does NOT hold") == sum(not gate["holds"] for gate in gates)


def test_models_are_heard_through_the_windows_they_were_validated_with(forest, models, tmp_path):
    config = json.loads((models["two"] / "config.json").read_text())
    config["windows"] = {"window_s": 0.5, "overlap": 0.0, "aggregate": "mean"}
    (models["two"] / "config.json").write_text(json.dumps(config))
    request = CompareRequest(data=forest, out=tmp_path / "out", runs={"two": models["two"]}, resamples=5)
    heard = compare(request, Console(quiet=True)).heard["two"]
    model, audio = load_model(str(models["two"])), torch.from_numpy(read_audio(forest / "test" / "aa.flac"))
    validated = WindowSettings(window_s=0.5, overlap=0.0, aggregate="mean")
    np.testing.assert_array_equal(heard.frames[0], predict_recording(model, audio, validated).frame.numpy())
    own = WindowSettings(window_s=1.0, overlap=0.5, aggregate="max")
    assert not np.array_equal(heard.frames[0], predict_recording(model, audio, own).frame.numpy())


def test_a_model_of_other_species_is_refused(forest, models, tmp_path):
    config = json.loads((models["one"] / "config.json").read_text())
    config["species"][0]["name"] = "Corvus corax"
    (models["one"] / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="species are not the 24 of the truth"):
        compare(CompareRequest(data=forest, out=tmp_path / "out", runs=models), Console(quiet=True))


def test_failed_gates_are_an_error_with_its_own_code(forest, models, tmp_path):
    request = CompareRequest(
        data=forest, out=tmp_path / "out", runs={"one": models["one"]}, promises=PROMISES[:1], resamples=5
    )
    gates = compare(request, Console(quiet=True)).gates
    assert len(gates) == 1
    if gates[0].holds:  # an untrained model may be lucky on three recordings: then nothing is raised
        require_gates(gates)
    else:
        with pytest.raises(GateError, match="1 of 1 gates do not hold: best model"):
            require_gates(gates)
    assert GateError.exit_code == 3


def test_prevalences_come_from_where_they_are_asked_for(forest, models, tmp_path):
    runs = {"one": models["one"]}
    with pytest.raises(ConfigError, match="--prevalence none: a --gate over 'prior' needs prevalences"):
        CompareRequest(data=forest, out=tmp_path, runs=runs, promises=PROMISES[:1], prevalence="none")
    request = CompareRequest(data=forest, out=tmp_path / "none", runs=runs, resamples=5, prevalence="none")
    result = compare(request, Console(quiet=True))
    assert result.scaled == {} and "Nothing is prior-scaled." in (request.out / "report.html").read_text()
    with (request.out / "comparison.csv").open() as lines:
        row = list(csv.DictReader(lines))[-1]
    assert row["lwlrap_prior"] == "" and row["lwlrap"] != ""
    estimate = CompareRequest(data=forest, out=tmp_path / "est", runs=runs, resamples=5, prevalence="estimate")
    with pytest.raises(ConfigError, match=r"model one: its config\.json has no train_prevalence"):
        compare(estimate, Console(quiet=True))
    config = json.loads((models["one"] / "config.json").read_text())
    config["train_prevalence"] = [0.15] * 23 + [None]
    (models["one"] / "config.json").write_text(json.dumps(config))
    scaled = compare(estimate, Console(quiet=True)).scaled["one"].scores
    assert scaled.shape == (3, 24) and np.isfinite(scaled).all()


def load_program():
    spec = importlib.util.spec_from_file_location("compare_program", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a=x", "a=y"], "'a=y': need NAME=RUN_DIR with a name of its own"),
        (["nothing"], "'nothing': need NAME=RUN_DIR"),
        (["a=x", "--gate", "b", "prior", "0.1"], "--gate: 'b' is neither 'best' nor a compared run: a"),
        (["a=x", "--gate", "a", "best", "0.1"], "--gate: 'best' is neither 'prior' nor a compared run: a"),
        (["a=x", "--gate", "a", "prior", "much"], "--gate: 'much' is no number"),
        (["a=x", "--gate", "a", "prior", "0", "--prevalence", "none"], "--prevalence none: a --gate over 'prior'"),
        (["best=x"], "best=x: 'best' means something in --gate"),
    ],
)
def test_the_program_names_mistakes(arguments, message, tmp_path):
    with pytest.raises(ConfigError, match=re.escape(message)):
        load_program().main([*arguments, "--data", str(tmp_path), "--out", str(tmp_path / "out")])
