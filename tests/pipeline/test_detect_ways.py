"""What detection can be told: where audio comes from, which models, what their scores go through. The command, real files."""

import csv
import functools
import http.server
import io
import json
import shutil
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from rfcx_ssl.cli import main
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import write_decisions
from rfcx_ssl.species import rfcx_species

RATE_HZ = 8_000
SPECIES = rfcx_species()


@pytest.fixture(scope="module")
def models(tiny_model, tmp_path_factory):
    folders = [tmp_path_factory.mktemp(f"model{seed}") for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        tiny_model(RATE_HZ, seed=seed).save_pretrained(folder)
    return folders


@pytest.fixture(scope="module")
def card(tmp_path_factory):
    folder = tmp_path_factory.mktemp("card")
    rng = np.random.default_rng(0)
    for number, name in enumerate(["ridge/R_20230415_053000", "ridge/R_20231115_180000", "valley/V_20230415_060000"]):
        (folder / name).parent.mkdir(exist_ok=True)
        loudness = np.repeat(rng.choice([0.001, 0.05, 0.3], 28), RATE_HZ // 4)
        sound = (rng.normal(size=len(loudness)) * loudness).clip(-1, 1)[: RATE_HZ * (4 + number)]
        soundfile.write(folder / f"{name}.wav", sound.astype(np.float32), RATE_HZ, subtype="FLOAT")
    return folder


def detect(out, *arguments):
    """Events and scores by recording; the command must end well."""
    main(["detect", *map(str, arguments), "--out", str(out), "--readers", "0", "--threads", "1"])
    return table(out / "events.csv"), {row["recording"]: row for row in table(out / "scores.csv")}


def table(path):
    with path.open() as lines:
        return list(csv.DictReader(lines))


def scores_of(scores):
    return np.array([[float(row[name]) for name in SPECIES.names] for row in scores.values()])


def times(events):
    return [(e["recording"], e["species"], e["start_s"], e["end_s"], e["score"]) for e in events]


@pytest.fixture(scope="module")
def local(card, models, tmp_path_factory):
    return detect(tmp_path_factory.mktemp("local"), card, "--model", models[0], "--threshold", 0.51)


def test_a_folder_of_a_web_server_is_heard_as_the_local_one(card, models, local, tmp_path):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=card.parent)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{card.name}/"
        events, scores = detect(tmp_path / "out", url, "--model", models[0], "--threshold", 0.51)
    finally:
        server.shutdown()
        server.server_close()
    assert times(events) == times(local[0]) and len(events) > 20
    assert list(scores) == list(local[1])
    assert not list((tmp_path / "out" / "journal").glob(".*.tmp")), "copies are removed when they were heard"


def test_audio_from_a_pipe_and_a_list_of_parts(card, models, local, tmp_path, monkeypatch):
    path = card / "valley/V_20230415_060000.wav"
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(path.read_bytes())))
    events, _ = detect(tmp_path / "pipe", "-", "--model", models[0], "--threshold", 0.51)
    expected = [(*e[1:],) for e in times(local[0]) if e[0] == "valley/V_20230415_060000"]
    assert [(*e[1:],) for e in times(events)] == expected and expected

    parts = tmp_path / "parts.csv"
    parts.write_text(f"file,start_s,end_s\n{path},1.5,4\n")
    events, scores = detect(tmp_path / "parts", "--list", parts, "--model", models[0], "--threshold", 0.51)
    assert list(scores) == ["V_20230415_060000@1.5-4"] and events
    assert all(1.5 <= float(e["start_s"]) < float(e["end_s"]) <= 4 for e in events)
    cut = tmp_path / "cut.wav"
    samples, _ = soundfile.read(path, dtype="float32")
    soundfile.write(cut, samples[12_000:32_000], RATE_HZ, subtype="FLOAT")
    alone, _ = detect(tmp_path / "cut", cut, "--model", models[0], "--threshold", 0.51)
    assert [(float(e["start_s"]) - 1.5, e["species"]) for e in events] == [
        (pytest.approx(float(e["start_s"])), e["species"]) for e in alone
    ]
    assert events[0]["start_time"].startswith("2023-04-15T06:00:0")


def test_an_ensemble_is_the_mean_of_its_models_and_onnx_is_torch(card, models, local, tmp_path):
    _, other = detect(tmp_path / "other", card, "--model", models[1])
    _, both = detect(tmp_path / "both", card, "--model", models[0], "--model", models[1])
    np.testing.assert_allclose(scores_of(both), (scores_of(local[1]) + scores_of(other)) / 2, atol=2e-5)
    _, fast = detect(tmp_path / "fast", card, "--model", models[0], "--set", "speeds=[1.0,1.1]")
    assert np.abs(scores_of(fast) - scores_of(local[1])).max() > 1e-4
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    main(["export", str(models[0]), "--format", "onnx", "--out", str(tmp_path / "exported")])
    onnx = ("--model", tmp_path / "exported", "--backend", "onnx", "--threshold", 0.51)
    events, scores = detect(tmp_path / "onnx", card, *onnx)
    np.testing.assert_allclose(scores_of(scores), scores_of(local[1]), atol=2e-5)
    assert [e[:4] for e in times(events)] == [e[:4] for e in times(local[0])]


def test_what_was_tuned_is_used_and_shown(card, models, local, tmp_path, capsys):
    tuned = tmp_path / "tuned"
    shutil.copytree(models[0], tuned)
    threshold = np.full(24, 1.0)
    threshold[5] = 0.4
    write_decisions(tuned / "decisions.json", decide(SPECIES.names, threshold=threshold, about={"criterion": "f1"}))
    events, _ = detect(tmp_path / "own", card, "--model", tuned)
    assert {e["species"] for e in events} == {SPECIES.names[5]}
    said = capsys.readouterr().err
    assert "events: hysteresis, threshold 0.4 to 1, one per species; tuned (criterion f1)" in said
    record = json.loads((tmp_path / "own" / "detect.json").read_text())["decisions"]
    assert record["threshold"][SPECIES.names[5]] == 0.4 and record["about"] == {"criterion": "f1"}
    events, _ = detect(tmp_path / "told", card, "--model", tuned, "--threshold", 0.51)
    assert times(events) == times(local[0])


def test_species_lists_occurrence_and_prevalence(card, models, local, tmp_path):
    model = ("--model", models[0], "--threshold", 0.51)
    loudest = SPECIES.names[int(scores_of(local[1]).mean(axis=0).argmax())]
    events, scores = detect(tmp_path / "without", card, *model, "--set", f"exclude=[{loudest}]")
    assert times(events) == [e for e in times(local[0]) if e[1] != loudest]
    assert all(float(row[loudest]) == 0 for row in scores.values())

    occurrence, places = tmp_path / "occurrence.csv", tmp_path / "places.csv"
    occurrence.write_text(f"species,site,month,occurs\n{loudest},ridge,4,0\n")
    places.write_text("recording,site\nridge/R_20230415_053000,ridge\nridge/R_20231115_180000,ridge\n")
    events, scores = detect(
        tmp_path / "where", card, *model, "--set", f"occurrence={occurrence}", "--recordings", places
    )
    assert [float(row[loudest]) == 0 for row in scores.values()] == [True, False, False]
    assert events[0]["site"] == "ridge"
    warnings = json.loads((tmp_path / "where" / "detect.json").read_text())["warnings"]
    assert any("its site is not known" in warning for warning in warnings)

    prevalence = tmp_path / "prevalence.csv"
    wanted = np.linspace(0.05, 0.9, 24)
    prevalence.write_text(
        "name,prevalence\n" + "".join(f"{n},{p}\n" for n, p in zip(SPECIES.names, wanted, strict=True))
    )
    _, scores = detect(tmp_path / "scaled", card, *model, "--prevalence", prevalence)
    np.testing.assert_allclose(scores_of(scores).mean(axis=0), wanted, atol=1e-4)


def test_mistakes_leave_nothing_behind(card, models, tmp_path, capsys):
    for arguments, said in [
        ([tmp_path / "none"], "none: no such file or folder"),
        ([], "what to listen to?"),
        ([card, "--set", "precision=fp16"], "precision=fp16"),
        ([card, "--set", "prevalence=estimate"], "train_prevalence"),
    ]:
        with pytest.raises(SystemExit) as stop:
            detect(tmp_path / "out", *arguments, "--model", models[0])
        assert stop.value.code == 2
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("error: ") and said in lines[-1]
        assert not (tmp_path / "out" / "events.csv").exists()
