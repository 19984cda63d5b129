"""Ranking losses against loops and the hard metric."""

import numpy as np
import pytest
import torch
from sklearn.metrics import label_ranking_average_precision_score

from rfcx_ssl.losses.ranking import lsep, soft_lwlrap


def _batch(seed, rows=6, outputs=7, dtype=torch.float64):
    rng = np.random.default_rng(seed)
    z = torch.tensor(rng.normal(0, 2, (rows, outputs)), dtype=dtype)
    target = torch.tensor(rng.integers(0, 2, (rows, outputs)), dtype=dtype)
    weight = torch.tensor(rng.choice([0.0, 0.5, 1.0], (rows, outputs)), dtype=dtype)
    return z, target * (weight > 0), weight


@pytest.mark.parametrize("seed", range(3))
def test_lsep_matches_a_loop(seed):
    z, y, w = _batch(seed)
    values = []
    for b in range(len(z)):
        terms = [
            w[b, i] * w[b, j] * torch.exp(z[b, j] - z[b, i])
            for i in range(7)
            for j in range(7)
            if w[b, i] > 0 and w[b, j] > 0 and y[b, i] == 1 and y[b, j] == 0
        ]
        if terms:
            values.append(torch.log1p(torch.stack(terms).sum()))
    torch.testing.assert_close(lsep(z, y, w), torch.stack(values).mean())


def test_soft_lwlrap_tends_to_the_metric():
    z, y, _ = _batch(0)
    known = torch.ones_like(y)
    hard = label_ranking_average_precision_score(y.numpy(), z.numpy(), sample_weight=y.sum(1).numpy())
    sharp = soft_lwlrap(z, y, known, temperature=1e-4).item()
    assert sharp == pytest.approx(hard, abs=1e-6)
    assert abs(soft_lwlrap(z, y, known, temperature=5.0).item() - hard) > 1e-3


def test_unknown_outputs_have_no_part():
    z, y, _ = _batch(1)
    weight = torch.ones_like(y)
    weight[:, 3] = 0
    y[:, 3] = 0
    moved = z.clone()
    moved[:, 3] += 100
    for loss in (lsep, soft_lwlrap):
        torch.testing.assert_close(loss(moved, y, weight), loss(z, y, weight))


@pytest.mark.parametrize("loss", [lsep, soft_lwlrap])
def test_gradients(loss):
    z, y, w = _batch(2, rows=2, outputs=4)
    assert torch.autograd.gradcheck(lambda logits: loss(logits, y, w), (z.requires_grad_(),))


@pytest.mark.parametrize(("target", "expected_lsep", "expected_lwlrap"), [(0.0, 0.0, 1.0), (1.0, 0.0, 1.0)])
def test_clips_without_pairs_cost_nothing(target, expected_lsep, expected_lwlrap):
    z = torch.randn(2, 4, requires_grad=True)
    y = torch.full((2, 4), target)
    ranking = lsep(z, y, torch.ones(2, 4))
    agreement = soft_lwlrap(z, y, torch.ones(2, 4))
    (ranking + agreement).backward()
    assert ranking.item() == expected_lsep
    assert agreement.item() == pytest.approx(expected_lwlrap)
    assert z.grad.isfinite().all()
