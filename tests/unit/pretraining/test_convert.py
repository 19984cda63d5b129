import dataclasses
from pathlib import Path

import pytest
import torch
from transformers import Wav2Vec2Config, Wav2Vec2ForPreTraining, Wav2Vec2Model

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
from rfcx_ssl.pretraining.convert import encoder_config, feature_extractor, to_fairseq, to_transformers

SETTINGS = {
    "_name": "wav2vec2",
    "conv_feature_layers": "[(8, 20, 10)] + [(8, 3, 2)] * 2",
    "encoder_layers": 2,
    "encoder_embed_dim": 12,
    "encoder_ffn_embed_dim": 20,
    "encoder_attention_heads": 2,
    "final_dim": 8,
    "latent_vars": 6,
    "latent_groups": 2,
    "conv_pos": 8,
    "conv_pos_groups": 2,
}


def make(settings=(), weights=None, task=()):
    task = {"sample_rate": 32000, "normalize": True, **dict(task)}
    return FairseqCheckpoint(Path("some.pt"), "0" * 64, weights or {}, SETTINGS | dict(settings), task, 5)


def random_model(heads, settings=()):
    torch.manual_seed(0)
    config = encoder_config(make(settings))
    return (Wav2Vec2ForPreTraining if heads else Wav2Vec2Model)(config)


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("mode", ["default", "layer_norm"])
def test_to_fairseq_and_back_changes_no_bit(mode, heads):
    settings = {"extractor_mode": mode, "conv_bias": mode == "layer_norm", "layer_norm_first": mode == "layer_norm"}
    model = random_model(heads, settings)
    weights = to_fairseq(model)
    assert "feature_extractor.conv_layers.0.2.1.weight" in weights or mode == "default"
    back = to_transformers(make(settings, weights), heads=heads)
    assert type(back) is type(model)
    assert not back.training
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name


def test_new_and_old_names_of_the_weight_norm_give_the_same_encoder():
    weights = to_fairseq(random_model(False))
    newer = {
        name.replace("weight_g", "parametrizations.weight.original0").replace(
            "weight_v", "parametrizations.weight.original1"
        ): tensor
        for name, tensor in weights.items()
    }
    assert set(newer) != set(weights)
    old, new = (to_transformers(make(weights=found)).state_dict() for found in (weights, newer))
    assert all(torch.equal(old[name], new[name]) for name in old)


def test_heads_are_left_out_of_an_encoder():
    model = random_model(True)
    encoder = to_transformers(make(weights=to_fairseq(model)))
    for name, tensor in encoder.state_dict().items():
        assert torch.equal(model.wav2vec2.state_dict()[name], tensor), name


def test_equal_widths_get_an_identity_projection():
    settings = {"encoder_embed_dim": 8}
    weights = to_fairseq(random_model(False, settings))
    weights = {name: tensor for name, tensor in weights.items() if not name.startswith("post_extract_proj")}
    projection = to_transformers(make(settings, weights)).feature_projection.projection
    features = torch.randn(2, 3, 8)
    assert torch.equal(projection(features), features)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("encoder.layers.1.fc1.weight"), "encoder.layers.1.feed_forward.*is missing"),
        (lambda w: w.update({"encoder.layers.7.fc1.weight": torch.zeros(2)}), "layers.7.* is one too many"),
        (lambda w: w.update({"adapter.weight": torch.zeros(2)}), "adapter.weight is unknown"),
        (lambda w: w.update({"mask_emb": torch.zeros(5)}), r"masked_spec_embed has shape \(5,\), needs \(12,\)"),
    ],
)
def test_wrong_tensors_are_named(change, message):
    weights = to_fairseq(random_model(False))
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        to_transformers(make(weights=weights))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("layer_type", "conformer"),
        ("pos_conv_depth", 5),
        ("quantize_input", True),
        ("crop_seq_to_multiple", 2),
        ("activation_fn", "linear"),
        ("extractor_mode", "batch_norm"),
    ],
)
def test_what_transformers_cannot_compute_is_refused(key, value):
    with pytest.raises(CheckpointError, match=rf"model\.{key}={value!r}"):
        encoder_config(make({key: value}))


def test_config_says_rate_hop_and_normalization():
    config = encoder_config(make({"extractor_mode": "layer_norm", "layer_norm_first": True, "latent_dim": 4}))
    assert config.rfcx_ssl == {"sample_rate_hz": 32000, "hop_samples": 40, "normalize": True, "normalize_eps": 1e-5}
    assert (config.feat_extract_norm, config.do_stable_layer_norm) == ("layer", True)
    assert (config.codevector_dim, config.proj_codevector_dim) == (4, 8)
    assert config.conv_kernel == [20, 3, 3]


def test_config_survives_saving(tmp_path):
    config = encoder_config(make())
    config.save_pretrained(tmp_path)
    assert Wav2Vec2Config.from_pretrained(tmp_path).rfcx_ssl == config.rfcx_ssl


@pytest.mark.parametrize("normalize", [True, False])
def test_preprocessor_has_the_rate_of_the_task(normalize):
    preprocessor = feature_extractor(make(task={"sample_rate": 48000, "normalize": normalize}))
    assert (preprocessor.sampling_rate, preprocessor.do_normalize) == (48000, normalize)


@pytest.mark.parametrize("rate", [None, 0, "32000"])
def test_a_checkpoint_without_a_rate_is_refused(rate):
    checkpoint = dataclasses.replace(make(), task={"sample_rate": rate})
    with pytest.raises(CheckpointError, match="sample_rate"):
        encoder_config(checkpoint)
