"""What must hold for every encoder: shapes, gradients, saving, precision, padding, freezing, learning."""

import json

import pytest
import torch
from torch import nn
from transformers import AutoConfig, AutoModel

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.modeling import RainforestSedModel

POOLINGS = ("attention", "max", "mean", "linear_softmax", "lse")
TEMPORAL = {"kind": "transformer", "dim": 8, "heads": 2}


def _noise(*shape):
    return 0.1 * torch.randn(*shape)


@pytest.mark.parametrize("num_samples", [1, 127, 4000, 8191, 8192])
def test_frame_arithmetic(tiny, tiny_name, num_samples):
    model = tiny(tiny_name)
    with torch.inference_mode():
        output = model(_noise(2, num_samples))
    frames = -(-num_samples // model.grid.hop_samples)
    assert output.frame_logits.shape == (2, frames, 27)
    assert output.clip_logits.shape == (2, 27)
    assert output.embedding.shape == (2, model.embedding_dim)
    assert output.activity_logits is None


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_head_trains(tiny, tiny_name, pooling):
    model = tiny(tiny_name, head={"pooling": {"kind": pooling}, "activity": "multiply"}, temporal=TEMPORAL).train()
    output = model(_noise(2, 4000))
    (output.frame_logits.sum() + output.clip_logits.sum() + output.activity_logits.sum()).backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert [n for n, grad in trained.items() if grad is None] == []  # DDP would wait for these for ever
    assert all(grad.isfinite().all() for grad in trained.values())


def test_save_and_load_give_equal_outputs(tiny, tiny_name, tmp_path):
    model = tiny(tiny_name, temporal=TEMPORAL)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded = RainforestSedModel.from_pretrained(tmp_path).eval()
    assert loaded.settings == model.settings
    assert (loaded.space, loaded.grid) == (model.space, model.grid)
    waveform = _noise(2, 5000)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(waveform).to_tuple(), model(waveform).to_tuple(), rtol=0, atol=0)


def test_auto_classes_load_our_models(tiny, tmp_path):
    model = tiny("panns")
    model.save_pretrained(tmp_path)
    assert AutoConfig.from_pretrained(tmp_path).space == model.space
    assert isinstance(AutoModel.from_pretrained(tmp_path), RainforestSedModel)


def test_unknown_config_keys_are_errors(tiny, tmp_path):
    tiny("panns").save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | {"sample_rate_kz": 1}))
    with pytest.raises(ConfigError, match="sample_rate_kz: unknown key"):
        RainforestSedModel.from_pretrained(tmp_path)
    values["sed"]["chanels"] = [1]
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=r"model\.chanels: unknown key"):
        RainforestSedModel.from_pretrained(tmp_path)


def test_bfloat16_autocast_stays_close_and_logits_are_float32(tiny, tiny_name):
    model = tiny(tiny_name)
    waveform = _noise(2, 4000)
    with torch.inference_mode():
        exact = model(waveform)
        with torch.autocast("cpu", torch.bfloat16):
            rough = model(waveform)
    assert rough.frame_logits.dtype == rough.clip_logits.dtype == torch.float32
    torch.testing.assert_close(rough.frame_logits.sigmoid(), exact.frame_logits.sigmoid(), rtol=0.1, atol=0.02)


def test_a_clip_alone_scores_as_in_a_batch(tiny, tiny_name):
    model = tiny(tiny_name)
    waveform = _noise(3, 4000)
    with torch.inference_mode():
        torch.testing.assert_close(model(waveform[1:2]).frame_logits, model(waveform).frame_logits[1:2])


@pytest.mark.parametrize(
    ("name", "pooling", "temporal"),
    [("wav2vec2", pooling, {"kind": "transformer", "heads": 2}) for pooling in POOLINGS]
    + [("hubert", "attention", None)],
)
def test_padding_changes_nothing_for_layer_norm_encoders(tiny, name, pooling, temporal):
    model = tiny(name, head={"pooling": {"kind": pooling}}, temporal=temporal)
    short = _noise(1, 3003)
    padded = torch.cat([short, torch.full((1, 2000), 7.0)], dim=1)
    with torch.inference_mode():
        alone = model(short)
        batch = model(torch.cat([padded, _noise(1, 5003)]), lengths=torch.tensor([3003, 5003]))
    frames = alone.frame_logits.shape[1]
    torch.testing.assert_close(batch.frame_logits[:1, :frames], alone.frame_logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batch.clip_logits[:1], alone.clip_logits, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(batch.embedding[:1], alone.embedding, rtol=1e-4, atol=1e-5)


def test_depths_cover_every_parameter_and_order_the_layers(tiny, tiny_name):
    model = tiny(tiny_name)
    depths = {name: model.layer_depth(name) for name, _ in model.named_parameters()}
    assert set(depths.values()) == set(range(model.num_depths))
    assert depths["head.classify.weight"] == model.num_depths - 1
    order = [depth for name, depth in depths.items() if name.startswith("encoder.network")]
    assert order == sorted(order)


def test_freezing_and_thawing_by_depth(tiny, tiny_name):
    model = tiny(tiny_name)
    free = {n for n, p in model.named_parameters() if p.requires_grad}
    model.freeze_below(model.num_depths - 1)
    model.train()
    trained = {n for n, p in model.named_parameters() if p.requires_grad}
    assert trained == {n for n, _ in model.named_parameters() if n.startswith(("head.", "temporal."))}
    before = {n: b.clone() for n, b in model.named_buffers()}
    model(_noise(2, 4000)).frame_logits.sum().backward()
    for name, buffer in model.named_buffers():
        torch.testing.assert_close(buffer, before[name], rtol=0, atol=0)
    model.freeze_below(0)
    assert {n for n, p in model.named_parameters() if p.requires_grad} == free
    assert all(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))


def test_frozen_convolutions_are_not_recorded_for_a_gradient(tiny, backbone_name):
    model = tiny(backbone_name).train()
    seen = []
    model.encoder.backbone.feature_extractor.register_forward_hook(lambda *call: seen.append(call[2].requires_grad))
    for depth in (0, 1, 0):
        model.freeze_below(depth)
        model(_noise(2, 2560))
    assert seen == [True, False, True]


def test_layer_mix_starts_as_the_mean_and_trains(tiny, backbone_name):
    model = tiny(backbone_name, layer_mix=True).train()
    waveform = _noise(2, 2560)
    model(waveform).clip_logits.sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert model.encoder.mix.weight.grad.abs().max() > 0
    states = [torch.randn(2, 3, 16) for _ in range(3)]
    expected = sum(nn.functional.layer_norm(state, (16,)) for state in states) / 3
    torch.testing.assert_close(model.encoder.mix(states), expected)


def test_every_encoder_overfits_one_batch(tiny, tiny_name):
    model = tiny(tiny_name, head={"dropout": 0.0}).train()
    time = torch.arange(2560) / 32000
    tones = torch.stack([0.3 * torch.sin(2 * torch.pi * hz * time) for hz in (700, 1900, 4300, 9100)])
    target = torch.eye(4, 27)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        clip_logits = model(tones).clip_logits
        loss = nn.functional.binary_cross_entropy_with_logits(clip_logits[:, :4], target[:, :4])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-10:]) < 0.35 * losses[0], losses[::10]  # one answer for all clips gives 0.68


def test_a_wrong_sample_rate_is_an_error(tiny):
    config = tiny("panns").config
    config.sample_rate_hz = 16000
    with pytest.raises(ConfigError, match="sample_rate_hz=16000, but the encoder works at 32000"):
        RainforestSedModel(config)


def test_mel_above_nyquist_is_an_error(tiny_settings, space):
    settings = tiny_settings("panns", sample_rate_hz=16000)
    with pytest.raises(ConfigError, match="f_max_hz=14000"):
        build_model(settings, space)
