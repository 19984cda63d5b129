"""The composed loss: masks, weights, names, and errors."""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.cells import asymmetric, bce, focal
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import (
    ActivitySettings,
    AsymmetricSettings,
    BceSettings,
    CenterSettings,
    FocalSettings,
    LossSettings,
    LsepSettings,
    LwlrapSettings,
    UnknownSettings,
)
from rfcx_ssl.species import label_space, rfcx_species

SPACE = label_space(rfcx_species())
B, T, K, D = 3, 9, SPACE.num_outputs, 6


def _case(seed=0):
    rng = np.random.default_rng(seed)
    known = (rng.random((B, T, K)) < 0.4).astype("float64")
    target = (rng.random((B, T, K)) < 0.5) * known
    frame = torch.tensor(rng.normal(0, 3, (B, T, K)), requires_grad=True)
    clip = torch.tensor(rng.normal(0, 3, (B, K)), requires_grad=True)
    output = SimpleNamespace(
        frame_logits=frame,
        clip_logits=clip,
        activity_logits=torch.tensor(rng.normal(0, 1, (B, T))),
        embedding=torch.tensor(rng.normal(0, 1, (B, D))),
    )
    clip_known = torch.tensor((rng.random((B, K)) < 0.6).astype("float64"))
    clip_target = torch.tensor(rng.integers(0, 2, (B, K)).astype("float64")) * clip_known
    batch = Batch(
        torch.zeros(B, 1), torch.tensor(target), torch.tensor(known), clip_target, clip_known, torch.arange(B)
    )
    return output, batch


@pytest.mark.parametrize("unknown", [0.0, 0.3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_frame_and_clip_cells_match_a_loop(unknown, smoothing):
    output, batch = _case()
    settings = LossSettings(
        clip_ratio=0.25,
        weighting="cell",
        unknown=UnknownSettings(weight=unknown, target=0.2) if unknown else None,
        label_smoothing=smoothing,
    )
    actual = build_loss(settings, SPACE)(output, batch)

    def mean_bce(logits, target, known):
        total = weight = 0.0
        for z, y, k in zip(
            logits.flatten().tolist(), target.flatten().tolist(), known.flatten().tolist(), strict=True
        ):
            w = k if k else unknown
            y = y * (1 - smoothing) + smoothing / 2 if k else 0.2
            total += w * (np.log1p(np.exp(-abs(z))) + max(z, 0) - z * y)
            weight += w
        return total / weight

    frame = 0.75 * mean_bce(output.frame_logits, batch.target, batch.known)
    clip = 0.25 * mean_bce(output.clip_logits, batch.clip_target, batch.clip_known)
    assert actual["frame"].item() == pytest.approx(frame, rel=1e-6)
    assert actual["clip"].item() == pytest.approx(clip, rel=1e-6)
    assert actual["loss"].item() == pytest.approx(frame + clip, rel=1e-6)


def test_unknown_cells_have_no_gradient_by_default():
    output, batch = _case()
    build_loss(LossSettings(), SPACE)(output, batch)["loss"].backward()
    assert (output.frame_logits.grad[batch.known == 0] == 0).all()
    assert (output.frame_logits.grad[batch.known == 1] != 0).all()
    assert (output.clip_logits.grad[batch.clip_known == 0] == 0).all()


def test_every_box_counts_the_same_with_box_weighting():
    output, batch = _case()
    known, target = torch.zeros(1, 10, K), torch.zeros(1, 10, K)
    known[0, :8, 0], known[0, 9, 1] = 1, 1
    logits = torch.zeros(1, 10, K)
    logits[0, 9, 1] = 2.0
    output.frame_logits = logits
    batch = batch._replace(target=target, known=known)
    actual = build_loss(LossSettings(clip_ratio=0.0), SPACE)(output, batch)["frame"].item()
    assert actual == pytest.approx((np.log(2) + np.log1p(np.exp(2))) / 2, rel=1e-6)


def extra_terms(activity, lsep, lwlrap, center):
    return LossSettings(
        activity=ActivitySettings(weight=activity),
        lsep=LsepSettings(weight=lsep),
        lwlrap=LwlrapSettings(weight=lwlrap),
        center=CenterSettings(weight=center),
    )


def test_all_terms_are_named_weighted_and_summed():
    output, batch = _case()
    torch.manual_seed(0)
    loss = build_loss(extra_terms(0.5, 0.1, 0.2, 0.01), SPACE, embedding_dim=D)
    terms = loss(output, batch)
    assert list(terms) == ["frame", "clip", "activity", "lsep", "lwlrap", "center", "loss"]
    assert terms["loss"].item() == pytest.approx(sum(v.item() for k, v in terms.items() if k != "loss"))
    double = build_loss(extra_terms(1.0, 0.2, 0.4, 0.02), SPACE, embedding_dim=D)
    double.load_state_dict(loss.state_dict())
    for name in ("activity", "lsep", "lwlrap", "center"):
        assert double(output, batch)[name].item() == pytest.approx(2 * terms[name].item())
    terms["loss"].backward()
    assert loss.center.centers.grad.abs().sum() > 0


def test_nothing_known_gives_a_loss_of_zero():
    output, batch = _case()
    empty = batch._replace(**{n: torch.zeros_like(getattr(batch, n)) for n in batch._fields[1:5]})
    terms = build_loss(LossSettings(lsep=LsepSettings(), lwlrap=LwlrapSettings()), SPACE)(output, empty)
    terms["loss"].backward()
    assert terms["loss"].item() == 0
    assert output.frame_logits.grad.abs().max() == 0


@pytest.mark.parametrize("values", [(3.0,), tuple(np.linspace(0.5, 4, K))])
def test_pos_weight_is_per_output(values):
    output, batch = _case()
    settings = LossSettings(clip_ratio=1.0, pos_weight=values)
    known = torch.ones_like(batch.clip_known)
    batch = batch._replace(clip_target=torch.ones_like(known), clip_known=known)
    plain = torch.nn.functional.softplus(-output.clip_logits)
    expected = (plain * torch.tensor(values)).mean()
    assert build_loss(settings, SPACE)(output, batch)["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pos_weight": (1.0, 2.0)}, "pos_weight has 2 values, need 1 or one per output"),
        ({"center": CenterSettings()}, "needs the width"),
    ],
)
def test_what_does_not_fit_the_label_space_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build_loss(LossSettings(**change), SPACE)


def test_activity_without_an_activity_head_is_an_error():
    output, batch = _case()
    output.activity_logits = None
    with pytest.raises(ConfigError, match=r"model\.head\.activity"):
        build_loss(LossSettings(activity=ActivitySettings()), SPACE)(output, batch)


@pytest.mark.parametrize("path", sorted((config_root() / "finetune/loss").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_loss_loads_and_is_finite(path):
    output, batch = _case()
    loss = build_loss(load_settings(LossSettings, "finetune/loss", path.stem), SPACE, embedding_dim=D)
    assert loss(output, batch)["loss"].isfinite()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_ratio": 1.5}, "clip_ratio must be in"),
    ],
)
def test_rules(change, message):
    with pytest.raises(ValueError, match=message):
        LossSettings(**change)


@pytest.mark.parametrize(
    ("cls", "change", "message"),
    [
        (UnknownSettings, {"weight": -1.0}, "weight=-1.0 must be above 0; null leaves unknown cells out"),
        (UnknownSettings, {"weight": 0.1, "target": 1.5}, r"target=1.5 must be in \[0, 1\]"),
        (LsepSettings, {"weight": 0.0}, "weight=0.0 must be above 0; null leaves the term out"),
        (LwlrapSettings, {"temperature": 0.0}, "temperature=0.0 must be above 0"),
        (LwlrapSettings, {"weight": -1.0}, "weight=-1.0 must be above 0"),
        (ActivitySettings, {"silence_weight": 2.0}, "silence_weight=2.0 must be in"),
        (AsymmetricSettings, {"margin": 1.0}, "margin=1.0 must be in"),
        (AsymmetricSettings, {"gamma_negative": 0.5}, "gamma_negative=0.5 must be 0 or >= 1"),
        (AsymmetricSettings, {"gamma_positive": -1.0}, "gamma_positive=-1.0 must be 0 or more"),
        (FocalSettings, {"gamma": -1.0}, "gamma=-1.0 must be 0 or more"),
        (FocalSettings, {"alpha": 1.0}, r"alpha=1.0 must be in \(0, 1\) or null"),
    ],
)
def test_rules_of_one_term(cls, change, message):
    with pytest.raises(ValueError, match=message):
        cls(**change)


CELLS = [
    (BceSettings(), bce),
    (FocalSettings(gamma=1.5, alpha=0.3), partial(focal, gamma=1.5, alpha=0.3)),
    (
        AsymmetricSettings(gamma_positive=1.0, gamma_negative=3.0, margin=0.1),
        partial(asymmetric, gamma_positive=1.0, gamma_negative=3.0, margin=0.1),
    ),
]


@pytest.mark.parametrize(("cell", "function"), CELLS)
def test_the_cell_loss_is_the_one_that_its_kind_names(cell, function):
    output, batch = _case()
    known = torch.ones_like(batch.clip_known)
    batch = batch._replace(clip_known=known)
    actual = build_loss(LossSettings(clip_ratio=1.0, cell=cell), SPACE)(output, batch)["clip"]
    torch.testing.assert_close(actual, function(output.clip_logits, batch.clip_target).mean())


@pytest.mark.parametrize("clip_ratio", [0.0, 0.3, 1.0])
def test_masses_and_terms_come_from_one_list(clip_ratio):
    output, batch = _case()
    settings = replace(extra_terms(0.5, 0.1, 0.2, 0.01), clip_ratio=clip_ratio)
    for chosen in (settings, replace(settings, lsep=None, center=None), LossSettings(clip_ratio=clip_ratio)):
        loss = build_loss(chosen, SPACE, embedding_dim=D)
        assert [*loss.masses(batch), "loss"] == list(loss(output, batch))


def test_weak_silence_teaches_the_activity_head_where_nothing_is_known():
    output, batch = _case()
    empty = batch._replace(**{n: torch.zeros_like(getattr(batch, n)) for n in batch._fields[1:5]})
    logits = output.activity_logits.requires_grad_()
    for silence_weight, is_taught in ((0.0, False), (0.1, True)):
        settings = LossSettings(activity=ActivitySettings(silence_weight=silence_weight))
        loss = build_loss(settings, SPACE)
        (grad,) = torch.autograd.grad(loss(output, empty)["activity"], logits)
        assert (grad > 0).all() if is_taught else (grad == 0).all()  # downhill is towards "silent"
        assert loss.masses(empty)["activity"].item() == pytest.approx(silence_weight * B * T)
