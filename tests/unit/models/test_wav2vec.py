"""The wav2vec family: same hidden states as transformers, exact frame centers, normalization, settings that act."""

import json
import shutil

import numpy as np
import pytest
import torch
from torch import nn
from transformers import (
    AutoConfig,
    AutoModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_MAPPING

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.models import wav2vec
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings, conv_geometry, normalize
from rfcx_ssl.species import label_space, rfcx_species


def test_pretrained_weights_and_outputs_are_those_of_transformers(tiny, encoder_dir, backbone_name):
    model = tiny(backbone_name, frame_pool=1)
    plain = AutoModel.from_pretrained(encoder_dir(backbone_name)).eval()
    hop, receptive = model.encoder.hop_samples, model.encoder.receptive_samples
    x = torch.randn(2, hop * 12)
    left = (receptive - hop) // 2
    heard = normalize(x, None) if model.encoder.normalize else x
    padded = torch.nn.functional.pad(heard, (left, 11 * hop + receptive - left - x.shape[1]))
    with torch.inference_mode():
        torch.testing.assert_close(model.encoder(x, 12), plain(padded).last_hidden_state, rtol=1e-4, atol=1e-5)


def test_random_weights_have_the_same_architecture(tiny):
    trained, fresh = tiny("wav2vec2"), tiny("wav2vec2", encoder_weights="random")
    shapes = {name: p.shape for name, p in trained.named_parameters()}
    assert {name: p.shape for name, p in fresh.named_parameters()} == shapes
    name = "encoder.backbone.encoder.layers.0.attention.q_proj.weight"
    assert not torch.equal(trained.get_parameter(name), fresh.get_parameter(name))


def test_frames_are_centered_on_their_samples(tiny):
    model = tiny("wav2vec2", frame_pool=1)
    hop, receptive = model.encoder.hop_samples, model.encoder.receptive_samples
    x = torch.zeros(1, 20 * hop, requires_grad=True)
    left = (receptive - hop) // 2
    total = 19 * hop + receptive
    conv = model.encoder.backbone.feature_extractor(torch.nn.functional.pad(x, (left, total - left - 20 * hop)))
    conv[0, :, 10].square().sum().backward()
    touched = x.grad[0].nonzero().squeeze(1)
    first, last = touched.min().item(), touched.max().item()
    assert abs((first + last + 1) / 2 - 10.5 * hop) <= 1


def test_a_converted_encoder_hears_quiet_audio_as_fairseq_did(encoder_dir, tmp_path):
    """fairseq adds 1e-5 to the variance, transformers 1e-7; the converter notes which, and the model obeys."""
    shutil.copytree(encoder_dir("wav2vec2"), tmp_path / "encoder")
    config = json.loads((tmp_path / "encoder" / "config.json").read_text())
    config["rfcx_ssl"] = {"normalize_eps": 1e-5}
    (tmp_path / "encoder" / "config.json").write_text(json.dumps(config))
    build_model(Wav2Vec2Settings(encoder=str(tmp_path / "encoder")), label_space(rfcx_species())).save_pretrained(
        tmp_path / "m"
    )
    encoder = RainforestSedModel.from_pretrained(tmp_path / "m").encoder
    quiet = 0.003 * torch.randn(1, 4000)
    heard = normalize(quiet, None, encoder.normalize_eps)
    torch.testing.assert_close(heard, torch.nn.functional.layer_norm(quiet, quiet.shape[-1:]))
    assert not torch.allclose(heard, normalize(quiet, None), rtol=0.1)


@pytest.mark.parametrize(
    ("kernels", "strides", "expected"),
    [([10, 3, 3, 3, 3, 2, 2], [5, 2, 2, 2, 2, 2, 2], (320, 400)), ([20, 3, 2], [10, 2, 2], (40, 60))],
)
def test_conv_geometry(kernels, strides, expected):
    assert conv_geometry(kernels, strides) == expected


def test_normalization_is_the_feature_extractors():
    x = 0.3 + torch.randn(2, 500) * torch.tensor([[0.1], [2.0]])
    extractor = Wav2Vec2FeatureExtractor(sampling_rate=32000, do_normalize=True)
    expected = np.stack(extractor([row.numpy() for row in x], sampling_rate=32000).input_values)
    np.testing.assert_allclose(normalize(x, None).numpy(), expected, rtol=1e-4, atol=1e-5)
    lengths = torch.tensor([500, 300])
    short = normalize(x[1:, :300], None)
    ours = normalize(x, lengths)
    torch.testing.assert_close(ours[1:, :300], short, rtol=1e-4, atol=1e-5)
    assert (ours[1, 300:] == 0).all()


def test_training_options_reach_the_backbone(tiny):
    model = tiny("wav2vec2", layerdrop=0.1, dropout=0.2, mask_time={"prob": 0.3, "length": 2}, attention="eager")
    config = model.encoder.backbone.config
    assert (config.layerdrop, config.hidden_dropout, config.mask_time_prob) == (0.1, 0.2, 0.3)
    assert config._attn_implementation == "eager"
    assert tiny("wav2vec2").encoder.backbone.config._attn_implementation == "sdpa"
    x = torch.randn(1, 4000)
    model.train()
    assert not torch.equal(model(x).frame_logits, model(x).frame_logits)
    model.eval()
    torch.testing.assert_close(model(x).frame_logits, model(x).frame_logits, rtol=0, atol=0)


@pytest.mark.parametrize("values", [{"layerdrop": 1.0}, {"layerdrop": 0.1, "layer_mix": True}])
def test_layers_that_cannot_be_left_out_are_not(tiny, values):
    with pytest.raises(ConfigError, match="layerdrop"):
        tiny("wav2vec2", **values)


def test_sdpa_equals_eager(tiny):
    x = torch.randn(2, 3000)
    lengths = torch.tensor([3000, 2000])
    fast, plain = tiny("wav2vec2"), tiny("wav2vec2", attention="eager")
    plain.load_state_dict(fast.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(fast(x, lengths).clip_logits, plain(x, lengths).clip_logits, rtol=1e-4, atol=1e-4)


def test_gradient_checkpointing_changes_nothing_but_memory(tiny):
    x = torch.randn(2, 2000)
    grads = []
    for on in (False, True):
        torch.manual_seed(0)
        model = tiny("wav2vec2", gradient_checkpointing=on, head={"dropout": 0.0})
        model.train()
        assert model.is_gradient_checkpointing is on
        model(x).clip_logits.sum().backward()
        grads.append(model.encoder.backbone.encoder.layers[0].attention.q_proj.weight.grad)
    torch.testing.assert_close(grads[1], grads[0])


def _copy(source, target, **preprocessor):
    for path in source.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    values = json.loads((target / "preprocessor_config.json").read_text()) | preprocessor
    (target / "preprocessor_config.json").write_text(json.dumps(values))
    return target


def test_preprocessor_decides_rate_and_normalization(tiny, encoder_dir, tmp_path):
    folder = _copy(encoder_dir("wav2vec2"), tmp_path, sampling_rate=16000, do_normalize=False)
    model = tiny("wav2vec2", encoder=str(folder))
    assert (model.config.sample_rate_hz, model.config.normalize_waveform) == (16000, False)
    assert model.config.window_samples == 4000


def test_encoders_of_a_pretraining_checkpoint_load(tiny_settings, space, tmp_path):
    config = Wav2Vec2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8, 8),
        conv_kernel=(10, 2), conv_stride=(5, 2), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        codevector_dim=8, proj_codevector_dim=8, num_codevectors_per_group=4,
    )  # fmt: skip
    whole = Wav2Vec2ForPreTraining(config)
    whole.save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(sampling_rate=32000).save_pretrained(tmp_path)
    model = build_model(tiny_settings("wav2vec2", encoder=str(tmp_path)), space)
    name = "feature_projection.projection.weight"
    torch.testing.assert_close(model.encoder.backbone.get_parameter(name), whole.wav2vec2.get_parameter(name))


def test_missing_rate_wrong_rate_and_missing_weights_are_named(tiny, encoder_dir, tmp_path):
    with pytest.raises(CheckpointError, match=r"sample_rate_hz=16000, but .* was trained at 32000 Hz"):
        tiny("wav2vec2", sample_rate_hz=16000)
    bare = tmp_path / "bare"
    bare.mkdir()
    with pytest.raises(CheckpointError, match=r"no usable config\.json"):
        tiny("wav2vec2", encoder=str(bare))
    (bare / "config.json").write_bytes((encoder_dir("wav2vec2") / "config.json").read_bytes())
    with pytest.raises(CheckpointError, match=r"no preprocessor_config\.json; set model\.sample_rate_hz"):
        tiny("wav2vec2", encoder=str(bare))
    with pytest.raises(CheckpointError, match="weights cannot be loaded"):
        tiny("wav2vec2", encoder=str(bare), sample_rate_hz=32000)
    model = tiny("wav2vec2", encoder=str(bare), sample_rate_hz=32000, encoder_weights="random")
    assert model.config.sample_rate_hz == 32000


def test_other_model_types_are_refused(tiny, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="model_type 'bert', need one of wav2vec2"):
        tiny("wav2vec2", encoder=str(tmp_path))


def test_incomplete_weights_are_an_error(tiny, encoder_dir, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = _copy(encoder_dir("wav2vec2"), tmp_path)
    state = load_file(folder / "model.safetensors")
    del state["encoder.layers.1.feed_forward.output_dense.weight"]
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="1 tensors missing"):
        tiny("wav2vec2", encoder=str(folder))


class FramesConfig(Wav2Vec2Config):
    """wav2vec 2.0 on frames of the waveform: no stack of convolutions, so the config says its geometry."""

    model_type = "wav2vec2_frames"
    hop_samples = 64
    receptive_samples = 256


class FramesExtractor(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.project = nn.Linear(256, channels)

    def forward(self, waveform):
        return self.project(waveform.unfold(1, 256, 64)).transpose(1, 2)


class FramesModel(Wav2Vec2Model):
    config_class = FramesConfig

    def __init__(self, config):
        super().__init__(config)
        self.feature_extractor = FramesExtractor(config.conv_dim[-1])
        self.post_init()

    def _get_feat_extract_output_lengths(self, input_lengths, add_adapter=None):
        return (input_lengths - 256) // 64 + 1


@pytest.fixture
def frames_encoder(monkeypatch, tmp_path):
    """A saved encoder of a new member of the family: a config class, a model class, a name."""
    monkeypatch.setattr(wav2vec, "FAMILY", (*wav2vec.FAMILY, FramesConfig.model_type))
    AutoConfig.register(FramesConfig.model_type, FramesConfig)
    AutoModel.register(FramesConfig, FramesModel)
    config = FramesConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, conv_dim=(8,),
        conv_kernel=(4,), conv_stride=(2,), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2,
        feat_extract_norm="layer", do_stable_layer_norm=True,
    )  # fmt: skip
    FramesModel(config).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(sampling_rate=32000, do_normalize=False).save_pretrained(tmp_path)
    yield tmp_path
    CONFIG_MAPPING._extra_content.pop(FramesConfig.model_type)
    MODEL_MAPPING._extra_content.pop(FramesConfig)


def test_a_backbone_with_another_front_end_is_a_member_like_any_other(tiny, frames_encoder, tmp_path):
    model = tiny("wav2vec2", encoder=str(frames_encoder), frame_pool=1)
    assert (model.encoder.hop_samples, model.encoder.receptive_samples) == (64, 256)
    assert model.encoder.backbone.config._attn_implementation == "sdpa"
    model.save_pretrained(tmp_path / "model")
    loaded = RainforestSedModel.from_pretrained(tmp_path / "model").eval()
    short, long = torch.randn(1, 1000), torch.randn(1, 1501)
    batch = torch.cat([torch.cat([short, torch.full((1, 501), 7.0)], dim=1), long])
    with torch.inference_mode():
        alone, both = loaded(short), model(batch, lengths=torch.tensor([1000, 1501]))
    assert alone.frame_logits.shape[1] == 16
    torch.testing.assert_close(both.frame_logits[:1, :16], alone.frame_logits, rtol=1e-4, atol=1e-5)
    model.freeze_below(1)
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad} - {
        "encoder.backbone.masked_spec_embed"
    }
    assert frozen == {f"encoder.backbone.feature_extractor.project.{kind}" for kind in ("weight", "bias")}
