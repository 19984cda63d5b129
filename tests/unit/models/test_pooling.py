"""Clip pooling against float64 probabilities, and its calibration."""

import numpy as np
import pytest
import torch

from rfcx_ssl.config import check_settings
from rfcx_ssl.models.head import HeadSettings, SedHead
from rfcx_ssl.models.pooling import ClipPooling, LsePoolingSettings, PoolingSettings, log1mexp, multiply_probabilities

B, T, K, D = 3, 11, 5, 4


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _logit(p):
    return np.log(p) - np.log1p(-p)


def settings_of(kind, **values):
    return check_settings(PoolingSettings, {"kind": kind, **values}, "pooling")


def _reference(kind, z, scores, reduce="sum", sharpness=5.0):
    """(T,) float64 frame logits and attention scores of one clip and output -> clip logit."""
    p = _sigmoid(z)
    if kind == "attention":
        w = np.exp(np.clip(scores, -10, 10))
        return _logit((w / w.sum() * p).sum() if reduce == "sum" else (w / w.max() * p).max())
    if kind == "max":
        return z.max()
    if kind == "mean":
        return _logit(p.mean())
    if kind == "linear_softmax":
        return _logit((p * p).sum() / p.sum())
    return np.log(np.exp(sharpness * z).mean()) / sharpness


@pytest.mark.parametrize("lengths", [None, (11, 4, 1)])
@pytest.mark.parametrize(
    ("kind", "reduce"),
    [
        ("attention", "sum"),
        ("attention", "max"),
        ("max", None),
        ("mean", None),
        ("linear_softmax", None),
        ("lse", None),
    ],
)
def test_pooling_matches_float64(kind, reduce, lengths):
    rng = np.random.default_rng(0)
    z, features = rng.normal(0, 3, (B, T, K)), rng.normal(0, 4, (B, T, D))
    pooling = ClipPooling(settings_of(kind, **({"reduce": reduce} if reduce else {})), D, K).double()
    scores = np.zeros((B, T, K))
    if pooling.attention is not None:
        scores = pooling.attention(torch.tensor(features)).detach().numpy()
    mask = None if lengths is None else torch.arange(T)[None] < torch.tensor(lengths)[:, None]
    actual = pooling(torch.tensor(z), torch.tensor(features), mask).detach().numpy()
    for b in range(B):
        n = T if lengths is None else lengths[b]
        expected = [_reference(kind, z[b, :n, k], scores[b, :n, k], reduce) for k in range(K)]
        np.testing.assert_allclose(actual[b], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["attention", "max", "mean", "linear_softmax", "lse"])
@pytest.mark.parametrize("level", [-200.0, -4.0, 0.0, 4.0, 200.0])
def test_a_steady_clip_scores_what_its_frames_score(kind, level):
    pooling = ClipPooling(settings_of(kind), D, K)
    frames = torch.full((2, 32, K), level, requires_grad=True)
    clip = pooling(frames, torch.randn(2, 32, D))
    torch.testing.assert_close(clip, torch.full((2, K), level), rtol=1e-4, atol=1e-4)
    clip.sum().backward()
    assert frames.grad.isfinite().all()


def test_pooled_gradients_match_finite_differences():
    torch.manual_seed(0)
    for kind in ("attention", "linear_softmax", "mean", "lse"):
        pooling = ClipPooling(settings_of(kind), D, K).double()
        frames = torch.randn(1, 4, K, dtype=torch.float64, requires_grad=True)
        features = torch.randn(1, 4, D, dtype=torch.float64)
        assert torch.autograd.gradcheck(lambda z, f=features, p=pooling: p(z, f), (frames,), atol=1e-4)


def test_activity_multiplies_probabilities_not_logits():
    z, gate = torch.randn(4, 6, dtype=torch.float64) * 5, torch.randn(4, 6, dtype=torch.float64) * 5
    torch.testing.assert_close(multiply_probabilities(z, gate).sigmoid(), z.sigmoid() * gate.sigmoid())
    silent = multiply_probabilities(torch.tensor([-4.0, 4.0]), torch.tensor(-30.0))
    assert (silent.sigmoid() < 1e-9).all()  # the logit product would have said 0.5


def test_activity_head_gates_frames_and_clip():
    torch.manual_seed(0)
    head = SedHead(HeadSettings(activity="multiply", dropout=0.0), D, K)
    features = torch.randn(2, T, D)
    torch.nn.init.constant_(head.activity.bias, -40.0)
    output = head(features)
    assert output.frame_logits.sigmoid().max() < 1e-9
    assert output.clip_logits.sigmoid().max() < 1e-9
    auxiliary = SedHead(HeadSettings(activity="auxiliary", dropout=0.0), D, K)
    auxiliary.load_state_dict(head.state_dict())
    torch.testing.assert_close(auxiliary(features).frame_logits, auxiliary.classify(features))


def test_an_untrained_head_says_its_initial_probability():
    head = SedHead(HeadSettings(initial_probability=0.02, dropout=0.0), D, K)
    output = head(torch.zeros(1, T, D))
    torch.testing.assert_close(output.clip_logits.sigmoid(), torch.full((1, K), 0.02))


def test_log1mexp_is_exact_at_both_ends():
    x = np.array([-1e-6, -0.1, -np.log(2), -1.0, -50.0])
    expected = np.where(x > -0.1, np.log(-np.expm1(x)), np.log1p(-np.exp(x)))
    np.testing.assert_allclose(log1mexp(torch.tensor(x)).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize(("change", "message"), [({"sharpness": 0.0}, "sharpness must be > 0")])
def test_pooling_rules(change, message):
    with pytest.raises(ValueError, match=message):
        LsePoolingSettings(**change)
