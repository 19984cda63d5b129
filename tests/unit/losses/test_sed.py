"""The composed loss: masks, weights, names, and errors."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from rfcx_ssl.config import config_root, load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.sed import build_loss
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.species import rfcx_label_space

SPACE = rfcx_label_space()
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
        clip_ratio=0.25, weighting="cell", unknown_weight=unknown, unknown_target=0.2, label_smoothing=smoothing
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


def test_all_terms_are_named_weighted_and_summed():
    output, batch = _case()
    weights = {"activity_weight": 0.5, "lsep_weight": 0.1, "lwlrap_weight": 0.2, "center_weight": 0.01}
    torch.manual_seed(0)
    loss = build_loss(LossSettings(**weights), SPACE, embedding_dim=D)
    terms = loss(output, batch)
    assert list(terms) == ["frame", "clip", "activity", "lsep", "lwlrap", "center", "loss"]
    assert terms["loss"].item() == pytest.approx(sum(v.item() for k, v in terms.items() if k != "loss"))
    double = build_loss(LossSettings(**{key: 2 * value for key, value in weights.items()}), SPACE, embedding_dim=D)
    double.load_state_dict(loss.state_dict())
    for name in ("activity", "lsep", "lwlrap", "center"):
        assert double(output, batch)[name].item() == pytest.approx(2 * terms[name].item())
    terms["loss"].backward()
    assert loss.center.centers.grad.abs().sum() > 0


def test_nothing_known_gives_a_loss_of_zero():
    output, batch = _case()
    empty = batch._replace(**{n: torch.zeros_like(getattr(batch, n)) for n in batch._fields[1:5]})
    terms = build_loss(LossSettings(lsep_weight=1.0, lwlrap_weight=1.0), SPACE)(output, empty)
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
        ({"center_weight": 1.0}, "needs the width"),
    ],
)
def test_what_does_not_fit_the_label_space_is_named(change, message):
    with pytest.raises(ConfigError, match=message):
        build_loss(LossSettings(**change), SPACE)


def test_activity_without_an_activity_head_is_an_error():
    output, batch = _case()
    output.activity_logits = None
    with pytest.raises(ConfigError, match=r"model\.head\.activity"):
        build_loss(LossSettings(activity_weight=1.0), SPACE)(output, batch)


@pytest.mark.parametrize("path", sorted((config_root() / "finetune/loss").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_loss_loads_and_is_finite(path):
    output, batch = _case()
    loss = build_loss(load_settings(LossSettings, "finetune/loss", path.stem), SPACE, embedding_dim=D)
    assert loss(output, batch)["loss"].isfinite()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip_ratio": 1.5}, "clip_ratio must be in"),
        ({"lsep_weight": -1.0}, "lsep_weight must be >= 0"),
        ({"lwlrap_temperature": 0.0}, "lwlrap_temperature must be > 0"),
        ({"asymmetric_margin": 1.0}, "asymmetric_margin must be in"),
        ({"asymmetric_gamma_negative": 0.5}, "asymmetric_gamma_negative must be 0 or >= 1"),
    ],
)
def test_rules(change, message):
    with pytest.raises(ValueError, match=message):
        LossSettings(**change)
