"""The folder of a pretrained encoder: converted, with its proof and the record of its pretraining, as far as there are any."""

import json

import pytest
import torch
from huggingface_hub import ModelCard
from transformers import AutoModel

from rfcx_ssl.errors import HubError
from rfcx_ssl.hub.card import Choices
from rfcx_ssl.hub.facts import find_encoder_facts, objections
from rfcx_ssl.hub.folder import write_encoder_folder
from rfcx_ssl.pretraining.log import LogRecord
from rfcx_ssl.pretraining.record import pretraining_record, record_end, record_run, wall_s

PARITY = {
    "passed": True,
    "max_abs_difference_last_hidden_state": 2.5e-6,
    "max_abs_difference_extractor_features": 1e-7,
    "tolerance": 1e-4,
    "checkpoint": "checkpoint_best.pt",
    "checkpoint_sha256": "ab" * 32,
    "num_updates": 900,
    "cases": [{"audio": "/home/bob/a.flac"}],
}


@pytest.fixture
def pretraining_run(tmp_path, monkeypatch):
    """A run folder as pretrain/run.py leaves it, with the log lines of two starts."""
    monkeypatch.setattr("rfcx_ssl.provenance.git_commit", lambda: "0" * 40)
    folder = tmp_path / "runs" / "base"
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests" / "train.tsv").write_text("/\n")
    folder.mkdir(parents=True)
    log = folder / "train.jsonl"
    config = {"task": {"data": str(tmp_path / "manifests")}, "model": {}, "common": {"log_file": str(log)}}
    record_run(folder, config | {"optimization": {"max_update": 1000}}, ["fairseq-hydra-train"])
    record_end(folder, num_updates=1000, finished=True)
    verdict = {"state": "learning", "message": "loss 3.10 bits (chance 6.66), perplexity 120", "chance_bits": 6.66}
    (folder / "health.json").write_text(json.dumps(verdict))
    lines = [{"num_updates": n, "loss": 3.0, "wall": wall} for n, wall in ((1, 10), (2, 20), (3, 7), (4, 15))]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_seconds_are_counted_over_all_starts():
    def records(*walls):
        return [LogRecord("train", n, {"loss": 1.0, "wall": float(wall)}) for n, wall in enumerate(walls)]

    assert wall_s(records(10, 20, 7, 15)) == 35 and wall_s(records(5)) == 5 and wall_s([]) is None
    assert wall_s([LogRecord("train", 1, {"loss": 1.0})]) is None


def test_the_record_of_a_run_goes_with_its_encoder(pretraining_run, tmp_path):
    record = pretraining_record(pretraining_run)
    assert record["train_s"] == 35 and record["verdict"]["state"] == "learning" and record["num_updates"] == 1000
    assert pretraining_record(tmp_path) is None


def test_an_encoder_is_published_with_proof_health_and_hashes(encoder_dir, pretraining_run, tmp_path):
    folder = encoder_dir("wav2vec2_mel")
    source = tmp_path / "encoder"
    source.mkdir()
    for path in folder.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / "parity.json").write_text(json.dumps(PARITY))
    (source / "pretraining.json").write_text(json.dumps(pretraining_record(pretraining_run)))
    (source / "optimizer.pt").write_bytes(b"not for others")
    facts = find_encoder_facts(source)
    (tmp_path / "out").mkdir()
    write_encoder_folder(source, facts, tmp_path / "out", Choices("USER/base"))
    text = (tmp_path / "out" / "README.md").read_text()
    data = ModelCard(text).data
    assert (data.pipeline_tag, data.library_name) == (
        "feature-extraction",
        "transformers",
    ) and "wav2vec2_mel" in data.tags
    for said in (
        "32000 Hz",
        "2.5e-06",
        "learning: loss 3.10 bits",
        "900 of 1000",
        "Time: 35 s",
        "| train.tsv |",
        "not measured",
    ):
        assert said in text
    assert not (tmp_path / "out" / "optimizer.pt").exists()
    assert json.loads((tmp_path / "out" / "parity.json").read_text())["cases"] == [{"audio": "a.flac"}]
    waveform = 0.1 * torch.randn(1, 8000)
    with torch.inference_mode():
        states = [
            AutoModel.from_pretrained(place).eval()(waveform).last_hidden_state for place in (source, tmp_path / "out")
        ]
    torch.testing.assert_close(*states, rtol=0, atol=0)


def test_what_is_not_known_of_an_encoder_is_said(encoder_dir, tmp_path):
    facts = find_encoder_facts(encoder_dir("wav2vec2"))
    (tmp_path / "out").mkdir()
    write_encoder_folder(encoder_dir("wav2vec2"), facts, tmp_path / "out", Choices("USER/base"))
    text = (tmp_path / "out" / "README.md").read_text()
    assert "Parity with fairseq: not recorded" in text and "its health is not recorded" in text
    assert "not proved here" in text and "converted outside of its run folder" in text
    with pytest.raises(HubError, match="no encoder directory"):
        find_encoder_facts(tmp_path)


def test_a_failed_pretraining_is_no_encoder_for_others(encoder_dir, pretraining_run, tmp_path):
    source = tmp_path / "encoder"
    source.mkdir()
    for name in ("config.json", "model.safetensors"):
        (source / name).write_bytes((encoder_dir("wav2vec2") / name).read_bytes())
    record = pretraining_record(pretraining_run) | {"finished": False}
    record["verdict"] = {"state": "failed", "message": "codes collapsed"}
    (source / "pretraining.json").write_text(json.dumps(record))
    (source / "parity.json").write_text(json.dumps(PARITY | {"passed": False}))
    assert objections(find_encoder_facts(source)) == [
        "the run is not finished",
        "the pretraining failed: codes collapsed",
        "the proof of its conversion failed",
    ]
