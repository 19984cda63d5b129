"""The proof against the real fairseq: random models of both extractor modes."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.audio import write_flac
from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.mel_extractor import MelExtractorSettings
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
from rfcx_ssl.pretraining.convert import fairseq_settings, to_fairseq, to_transformers
from rfcx_ssl.pretraining.export import export_encoder
from rfcx_ssl.pretraining.parity import TOLERANCE, build_fairseq_model, fairseq_class, prove_parity
from rfcx_ssl.pretraining.preflight import compose_pretraining
from rfcx_ssl.settings import from_plain

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
CONFIGS = Path(__file__).parents[3] / "configs" / "pretrain"
SETTINGS = {
    "_name": "wav2vec2",
    "quantize_targets": True,
    "encoder_layers": 2,
    "encoder_embed_dim": 24,
    "encoder_ffn_embed_dim": 40,
    "encoder_attention_heads": 2,
    "final_dim": 8,
    "latent_vars": 6,
    "latent_groups": 2,
    "conv_pos_groups": 4,
}
FORMS = {
    "base": {"extractor_mode": "default", "conv_feature_layers": "[(8, 20, 10)] + [(12, 3, 2)] * 4", "conv_pos": 16},
    "large": {
        "extractor_mode": "layer_norm",
        "conv_feature_layers": "[(8, 20, 10)] + [(8, 3, 2)] * 4 + [(16, 2, 2)] * 2",
        "conv_bias": True,
        "layer_norm_first": True,
        "conv_pos": 8,
    },
    "mixed": {
        "extractor_mode": "layer_norm",
        "conv_feature_layers": "[(24, 64, 40)] + [(24, 3, 2)] * 2",
        "layer_norm_first": False,
        "activation_fn": "relu",
        "conv_pos": 15,
    },
    "equal widths": {
        "extractor_mode": "default",
        "conv_feature_layers": "[(24, 40, 20)] + [(24, 3, 3)] * 2",
        "conv_bias": True,
        "layer_norm_first": True,
        "conv_pos": 128,
    },
}


def random_checkpoint(form, path=Path("random.pt"), normalize=True):
    return with_random_weights(SETTINGS | FORMS[form], {"sample_rate": 32000, "normalize": normalize}, path)


def with_random_weights(settings, task, path=Path("random.pt")):
    pytest.importorskip("fairseq.models.wav2vec.wav2vec2")
    torch.manual_seed(1)
    model = build_fairseq_model(FairseqCheckpoint(path, "", {}, settings, task, 0))
    with torch.no_grad():  # norms start at one and zero, which would hide a swapped name
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return FairseqCheckpoint(path, "0" * 64, model.state_dict(), settings, task, 0)


@pytest.mark.parametrize("form", FORMS)
def test_both_libraries_compute_the_same(form):
    checkpoint = random_checkpoint(form)
    report = prove_parity(checkpoint, to_transformers(checkpoint))
    assert report["passed"]
    assert report["max_abs_difference_last_hidden_state"] < 2e-5
    assert report["max_abs_difference_extractor_features"] < 2e-5
    assert len(report["cases"]) == 3
    assert all(case["hidden_rms"] > 0.1 for case in report["cases"])


@given(data=st.data())
@settings(max_examples=3, deadline=None)
def test_log_mel_encoders_compute_the_same(mel_extractor, data):
    """Any transformer on any of the extractors; and the way back gives fairseq every bit again."""
    heads = data.draw(st.integers(1, 3))
    model = {
        "_name": "wav2vec2_mel",
        "mel_extractor": mel_extractor,
        "encoder_layers": data.draw(st.integers(1, 3)),
        "encoder_embed_dim": 8 * heads,
        "encoder_attention_heads": heads,
        "conv_pos": data.draw(st.integers(3, 20)),
        "layer_norm_first": data.draw(st.booleans()),
        "detach_targets": data.draw(st.booleans()),
    }
    checkpoint = with_random_weights(SETTINGS | {"conv_pos_groups": 4} | model, {"sample_rate": 32000})
    converted = to_transformers(checkpoint, heads=True)
    report = prove_parity(checkpoint, converted)
    assert report["max_abs_difference_last_hidden_state"] < 2e-5
    assert report["max_abs_difference_extractor_features"] < 2e-5
    back = to_fairseq(converted)
    if mel_extractor["dim"] == 8 * heads:
        assert torch.equal(back.pop("post_extract_proj.weight"), torch.eye(8 * heads))
        back.pop("post_extract_proj.bias")
    assert set(back) == set(checkpoint.weights)
    assert all(torch.equal(back[name], checkpoint.weights[name]) for name in back)
    kept = fairseq_settings(converted.config)
    said, found = (from_plain(MelExtractorSettings, found.pop("mel_extractor"), "m") for found in (dict(model), kept))
    assert said == found
    assert {key: kept[key] for key in set(model) & set(kept)} == {key: model[key] for key in set(model) & set(kept)}


def test_heads_do_not_change_the_encoder():
    checkpoint = random_checkpoint("large", normalize=False)
    assert prove_parity(checkpoint, to_transformers(checkpoint, heads=True))["passed"]


@pytest.mark.parametrize("name", ["encoder.layers.1.fc2.bias", "feature_extractor.conv_layers.1.0.weight"])
def test_a_wrong_weight_is_seen(name):
    checkpoint = random_checkpoint("large")
    model = to_transformers(checkpoint)
    checkpoint.weights[name].add_(1e-3 * torch.randn_like(checkpoint.weights[name]))
    report = prove_parity(checkpoint, model)
    assert not report["passed"]
    assert report["max_abs_difference_last_hidden_state"] > TOLERANCE


def test_audio_files_are_used_at_the_rate_of_the_model(tmp_path):
    rng = np.random.default_rng(0)
    write_flac(tmp_path / "a.flac", 0.1 * rng.standard_normal(48000).astype(np.float32), 48000)
    write_flac(tmp_path / "short.flac", np.zeros(100, np.float32), 48000)
    checkpoint = random_checkpoint("large")
    model = to_transformers(checkpoint)
    (case,) = prove_parity(checkpoint, model, [tmp_path / "a.flac", tmp_path / "short.flac"])["cases"]
    assert case["samples"] == 32000
    with pytest.raises(CheckpointError, match="parity needs audio"):
        prove_parity(checkpoint, model, [tmp_path / "short.flac"])


def save(checkpoint, path):
    cfg = {"model": dict(checkpoint.model), "task": checkpoint.task}
    torch.save({"model": checkpoint.weights, "cfg": cfg, "args": None}, path)


def test_an_encoder_directory_is_written_once_and_whole(tmp_path):
    save(random_checkpoint("base"), tmp_path / "c.pt")
    export_encoder(tmp_path / "c.pt", tmp_path / "enc")
    names = {"config.json", "model.safetensors", "preprocessor_config.json", "parity.json"}
    assert {path.name for path in (tmp_path / "enc").iterdir()} == names
    with pytest.raises(CheckpointError, match="exists"):
        export_encoder(tmp_path / "c.pt", tmp_path / "enc")
    (tmp_path / "metrics.csv").write_text("split,num_updates\n")  # of a run; it goes with the encoder
    for _ in range(2):
        export_encoder(tmp_path / "c.pt", tmp_path / "enc", heads=True, overwrite=True)
    assert {path.name for path in (tmp_path / "enc").iterdir()} == names | {"pretraining_metrics.csv"}
    (tmp_path / "enc" / "notes.txt").touch()
    with pytest.raises(CheckpointError, match=r"notes\.txt"):
        export_encoder(tmp_path / "c.pt", tmp_path / "enc", overwrite=True)


def test_nothing_is_written_when_the_proof_fails(tmp_path, monkeypatch):
    save(random_checkpoint("base"), tmp_path / "c.pt")
    monkeypatch.setattr("rfcx_ssl.pretraining.convert._ACTIVATIONS", {"gelu": "relu"})
    with pytest.raises(CheckpointError, match="differ by"):
        export_encoder(tmp_path / "c.pt", tmp_path / "enc")
    assert [path.name for path in tmp_path.iterdir()] == ["c.pt"]


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("*.yaml")))
def test_every_shipped_config_builds_a_model_that_can_be_converted(name, tmp_path, monkeypatch):
    config = compose_pretraining(CONFIGS, name, [f"task.data={tmp_path}"])
    wav2vec2 = pytest.importorskip("fairseq.models.wav2vec.wav2vec2")
    kind = fairseq_class(config["model"])[1]
    assert set(config["model"]) <= set(kind.__dataclass_fields__)
    monkeypatch.setattr(wav2vec2, "init_bert_params", lambda _: None)  # wants to draw numbers; meta has none
    with torch.device("meta"):
        empty = FairseqCheckpoint(tmp_path, "", {}, config["model"], config["task"], 0)
        model = build_fairseq_model(empty)
        checkpoint = dataclasses.replace(empty, weights=model.state_dict())
        encoder = to_transformers(checkpoint, heads=True)
    assert sum(p.numel() for p in encoder.parameters()) == sum(p.numel() for p in model.parameters())
    hop_s = encoder.config.rfcx_ssl["hop_samples"] / config["task"]["sample_rate"]
    assert hop_s == (0.04 if "mel" in name else 0.02)
