"""Stochastic depth: a clip passes a layer by, or hears it louder, and evaluation knows nothing of it."""

import copy

import pytest
import torch

from rfcx_ssl.models.temporal import ConformerSettings, TransformerSettings, build_temporal

KINDS = {"transformer": TransformerSettings, "conformer": ConformerSettings}


def layers_of(module, kind):
    return module.layers.layers if kind == "transformer" else module.layers.conformer_layers


@pytest.mark.parametrize("kind", KINDS)
def test_each_clip_passes_a_layer_by_or_not(kind):
    torch.manual_seed(0)
    dropping = build_temporal(KINDS[kind](heads=2, dropout=0.0, drop_path=0.25), 8)
    plain = build_temporal(KINDS[kind](heads=2, dropout=0.0), 8)
    plain.load_state_dict(dropping.state_dict())
    assert not layers_of(plain, kind)[0]._forward_hooks  # what is off costs nothing
    x = torch.randn(400, 5, 8)
    (layer,) = layers_of(plain, kind)
    expand = (lambda y: y.transpose(0, 1)) if kind == "conformer" else (lambda y: y)
    after = expand(layer(expand(x), None))
    norm = plain.layers.norm if kind == "transformer" else torch.nn.Identity()
    passed, heard = norm(x), norm(x + (after - x) / 0.75)
    out = dropping.train()(x)
    is_passed = (out - passed).abs().amax((1, 2)) < 1e-5
    is_heard = (out - heard).abs().amax((1, 2)) < 1e-5
    assert (is_passed ^ is_heard).all()
    assert 65 <= is_passed.sum() <= 135  # 100 of 400; 4 standard deviations
    torch.testing.assert_close(dropping.eval()(x), plain.eval()(x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(copy.deepcopy(dropping)(x), dropping(x))  # as a moving average copies it


def test_image_networks_have_it_from_timm(tiny):
    model = tiny("timm_resnet", drop_path=0.5, head={"dropout": 0.0}, stages=0)
    x = torch.randn(4, 8000)
    torch.testing.assert_close(model(x).frame_logits, model(x).frame_logits, rtol=0, atol=0)
    for module in model.train().modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
            torch.nn.init.ones_(module.weight)  # timm starts with branches that add nothing
    assert not torch.equal(model(x).frame_logits, model(x).frame_logits)
