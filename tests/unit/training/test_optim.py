"""Which parameter learns how fast and decays how much."""

import pytest
import torch
from torch import nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.optim import (
    AdamWSettings,
    SgdSettings,
    build_optimizer,
    parameter_groups,
    set_learning_rates,
)


class TwoLayers(nn.Module):
    """An encoder of two layers under a head; depths 0, 1 and 2."""

    num_depths = 3

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 4))
        self.encoder[0] = nn.utils.parametrizations.weight_norm(self.encoder[0])
        self.head = nn.Linear(4, 2)

    def layer_depth(self, name):
        return 2 if name.startswith("head") else (0 if name.startswith("encoder.0") else 1)


def rates(model, optim):
    by_id = {id(p): (g["peak_lr"], g["weight_decay"]) for g in parameter_groups(model, optim) for p in g["params"]}
    return {name: by_id[id(p)] for name, p in model.named_parameters() if p.requires_grad}


def test_groups_of_encoder_head_norms_and_depth():
    optim = AdamWSettings(encoder_lr=0.1, head_lr=0.5, weight_decay=0.01, layer_decay=0.5)
    assert rates(TwoLayers(), optim) == {
        "encoder.0.bias": (0.05, 0.0),
        "encoder.0.parametrizations.weight.original0": (0.05, 0.0),  # weight norm's magnitude
        "encoder.0.parametrizations.weight.original1": (0.05, 0.01),
        "encoder.1.weight": (0.1, 0.0),
        "encoder.1.bias": (0.1, 0.0),
        "encoder.2.weight": (0.1, 0.01),
        "encoder.2.bias": (0.1, 0.0),
        "head.weight": (0.5, 0.01),
        "head.bias": (0.5, 0.0),
    }


def test_frozen_parameters_are_left_out():
    model = TwoLayers()
    model.encoder.requires_grad_(False)
    assert set(rates(model, AdamWSettings())) == {"head.weight", "head.bias"}
    model.requires_grad_(False)
    with pytest.raises(ConfigError, match="no parameter is trainable"):
        parameter_groups(model, AdamWSettings())


def test_every_rate_is_its_peak_times_the_factor():
    optimizer = build_optimizer(TwoLayers(), AdamWSettings(encoder_lr=0.1, head_lr=0.4))
    set_learning_rates(optimizer, 0.5)
    assert {group["lr"] for group in optimizer.param_groups} == {0.05, 0.2}


def test_parameters_of_the_loss_learn_too():
    loss = nn.Linear(2, 2)
    optimizer = build_optimizer(TwoLayers(), AdamWSettings(head_lr=0.3), extra=loss)
    assert optimizer.param_groups[-1]["params"] == list(loss.parameters())
    assert optimizer.param_groups[-1]["peak_lr"] == 0.3


def test_layer_decay_needs_depths():
    model = nn.Module()
    model.encoder = nn.Linear(2, 2)
    with pytest.raises(ConfigError, match="layer_decay"):
        parameter_groups(model, AdamWSettings(layer_decay=0.9))


def test_every_kind_builds_its_own_optimizer():
    adamw = build_optimizer(TwoLayers(), AdamWSettings(beta1=0.8, beta2=0.95, eps=1e-6))
    assert type(adamw) is torch.optim.AdamW
    assert {(group["betas"], group["eps"]) for group in adamw.param_groups} == {((0.8, 0.95), 1e-6)}
    sgd = build_optimizer(TwoLayers(), SgdSettings(momentum=0.7, nesterov=False))
    assert type(sgd) is torch.optim.SGD
    assert {(group["momentum"], group["nesterov"]) for group in sgd.param_groups} == {(0.7, False)}


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        (AdamWSettings, {"beta2": 1.0}, "beta1 and beta2"),
        (AdamWSettings, {"eps": 0.0}, "eps=0.0 must be above 0"),
        (AdamWSettings, {"layer_decay": 0.0}, "layer_decay=0.0"),
        (SgdSettings, {"momentum": 1.0}, "momentum=1.0"),
        (SgdSettings, {"momentum": 0.0}, "nesterov=true needs momentum above 0"),
        (SgdSettings, {"head_lr": -1.0}, "must be 0 or more"),
    ],
)
def test_rules(kind, change, message):
    with pytest.raises(ValueError, match=message):
        kind(**change)
