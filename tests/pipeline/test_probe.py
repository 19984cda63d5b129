"""pretrain/probe.py from end to end, on a small forest in which two species are tones."""

import csv
import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, Wav2Vec2FeatureExtractor

import rfcx_ssl.models.wav2vec2_mel  # noqa: F401 - AutoConfig knows it then
from rfcx_ssl.audio import write_flac
from rfcx_ssl.errors import AnnotationError, RfcxError

ROOT = Path(__file__).parents[2]
RATE_HZ = 32_000
HEADER = "recording_id,species_id,songtype_id,t_min,f_min,t_max,f_max\n"
TONES_HZ = (1500, 6000)
BACKBONE = {
    "hidden_size": 12,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "num_codevectors_per_group": 6,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}
CONVOLUTIONS = {"conv_dim": [8, 8], "conv_kernel": [32, 20], "conv_stride": [32, 20], "num_feat_extract_layers": 2}
MEL = {
    "mel": {"n_fft": 512, "hop_samples": 320, "n_mels": 16},
    "channels": [4],
    "time_strides": [2],
    "band_strides": [2],
    "dim": 8,
}


@pytest.fixture(scope="module")
def forest(tmp_path_factory):
    """24 recordings of 3 s; each has one tone, and a box of the other species where it is not."""
    root = tmp_path_factory.mktemp("forest")
    rng, time_s = np.random.default_rng(0), np.arange(3 * RATE_HZ) / RATE_HZ
    (root / "train").mkdir()
    present, absent = [], []
    for n in range(24):
        species = n % 2
        start = 0.2 + 1.2 * rng.random()
        tone = 0.1 * np.sin(2 * np.pi * TONES_HZ[species] * time_s) * ((time_s > start) & (time_s < start + 1))
        write_flac(
            root / "train" / f"r{n:02d}.flac", (tone + rng.normal(0, 0.01, len(tone))).astype(np.float32), RATE_HZ
        )
        for rows, kind in ((present, species), (absent, 1 - species)):
            rows.append(f"r{n:02d},{kind},1,{start:.3f},1000,{start + 1:.3f},7000\n")
    (root / "train_tp.csv").write_text(HEADER + "".join(present))
    (root / "train_fp.csv").write_text(HEADER + "".join(absent))
    return root


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    """One with convolutions and a quantizer, one on log-mel; both with random weights, 20 ms a frame."""
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(9)
    raw = AutoConfig.for_model("wav2vec2", **BACKBONE, **CONVOLUTIONS)
    mel = AutoConfig.for_model("wav2vec2_mel", **BACKBONE, mel_extractor=MEL, sample_rate_hz=RATE_HZ)
    for name, make, config in (("raw", AutoModelForPreTraining, raw), ("mel", AutoModel, mel)):
        make.from_config(config).save_pretrained(folder / name)
        Wav2Vec2FeatureExtractor(sampling_rate=RATE_HZ, do_normalize=name == "raw").save_pretrained(folder / name)
    return [str(folder / "raw"), str(folder / "mel")]


def run(*words):
    runpy.run_path(str(ROOT / "pretrain" / "probe.py"))["main"]([str(word) for word in words])


@pytest.fixture(scope="module")
def probed(forest, encoders, tmp_path_factory):
    out = tmp_path_factory.mktemp("probe")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["pretrain/probe.py"])
        patch.setattr("rfcx_ssl.probing.heads.FEW_STEPS", 40)
        run(*encoders, "data.num_folds=4", "--data", forest, "--out", out, "--labels-per-species", "2")
    return out


def test_everything_is_written(probed):
    values = json.loads((probed / "probe.json").read_text())
    (section,) = values["sections"]
    assert section["bench"]["judged"] == ["s0", "s1"]
    assert section["bench"]["labelled_recordings"] == {"2": 4, "all": 18}
    systems = {row["system"]: row for row in [*section["encoders"], *section["controls"]]}
    assert list(systems) == ["raw", "mel", "random weights like raw", "log-mel frames", "random weights like mel"]
    assert systems["log-mel frames"]["ap"] > 0.95  # a tone is easy to see there
    assert systems["log-mel frames"]["box_auc"] > 0.95
    assert section["bench"]["held_out_boxes"] == 2 * section["bench"]["held_out_recordings"]
    for row in systems.values():
        assert len(row["ap_per_seed"]) == 3
        assert row["ap"] == pytest.approx(np.mean(row["ap_per_seed"]))
        assert row["ap"] == pytest.approx(np.mean([value["ap"] for value in row["per_output"].values()]))
        assert row["ap_by_labels_per_species"]["all"] == row["ap"]
        assert 0 <= row["ap_by_labels_per_species"]["2"] <= 1
    assert [layer["layer"] for layer in systems["raw"]["layers"]] == ["convolutions", "layer 0", "layer 1"]
    raw, mel = section["encoders"]
    gap = raw["over_random_weights"]
    assert gap["value"] == pytest.approx(raw["ap"] - systems["random weights like raw"]["ap"])
    assert gap["low"] <= gap["value"] <= gap["high"]
    assert raw["codebooks"]["num_codes"] == 6
    assert mel["codebooks"] is None
    rows = list(csv.DictReader((probed / "table.csv").read_text().splitlines()))
    assert [row["system"] for row in rows] == list(systems)
    for column in ("ap", "box_auc"):
        assert float(rows[0][column]) == pytest.approx(raw[column], rel=1e-5)
    page = (probed / "report.html").read_text()
    assert raw["verdict"] in page
    assert page.count("data:image/png;base64,") == len(list(probed.glob("*.png"))) == 3
    assert "src='http" not in page


def test_a_second_call_hears_nothing_and_finds_the_same(probed, forest, encoders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("rfcx_ssl.probing.features.hear", None)
    monkeypatch.setattr("rfcx_ssl.probing.heads.FEW_STEPS", 40)
    before = json.loads((probed / "probe.json").read_text())
    files = sorted((probed / "features").rglob("*.npy"))
    assert len(files) == 2 + 6 + 1
    (tmp_path / "features").symlink_to(probed / "features")
    (tmp_path / "probe.json").write_text("of another probe")
    run(encoders[1], "--data", forest, "--out", tmp_path, "data.num_folds=4", "--labels-per-species")
    after = json.loads((tmp_path / "probe.json").read_text())
    for key in ("ap", "auc", "layers", "verdict"):
        assert after["sections"][0]["encoders"][0][key] == before["sections"][0]["encoders"][1][key]
    assert (tmp_path / "earlier" / "001" / "probe.json").read_text() == "of another probe"
    said = capsys.readouterr().out
    for words in ("box AUC", "random weights", "class prior (floor)", "mel: ", "not judged, for want of"):
        assert words in said


def test_labels_that_judge_nothing_are_refused_before_anything_is_heard(forest, encoders, tmp_path, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    (root / "train").symlink_to(forest / "train")
    (root / "train_tp.csv").write_text((forest / "train_tp.csv").read_text())
    (root / "train_fp.csv").write_text(HEADER)
    monkeypatch.setattr("rfcx_ssl.probing.features.hear", None)
    with pytest.raises(AnnotationError, match="nothing can be judged: no output has both present and absent frames"):
        run(encoders[0], "--data", root, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["data=synth"], "name at least one ENCODER"),
        (["some", "data.num_fold=4"], "num_fold"),
        (["some", "data.sample_rate_hz=8000"], "the encoder decides that"),
        (["some", "data.label_fraction=0.5"], "--labels-per-species decides that"),
        (["some", "some"], "an encoder is named twice"),
        (["some", "--labels-per-species", "0"], "must be 1 or more"),
        (["gone.pt", "some"], r"gone\.pt: no such checkpoint"),
    ],
)
def test_wrong_words_are_said_at_once(forest, tmp_path, words, message):
    with pytest.raises(RfcxError, match=message):
        run(*words, "--data", forest, "--out", tmp_path / "out")
