"""Cell losses against float64 formulas and finite differences."""

import numpy as np
import pytest
import torch

from rfcx_ssl.losses.cells import asymmetric, bce, focal


def _p(z):
    return 1 / (1 + np.exp(-z))


def _bce(z, y, w):
    return -(w * y * np.log(_p(z)) + (1 - y) * np.log(1 - _p(z)))


def _focal(z, y, w, gamma=2.0, alpha=0.25):
    p = _p(z)
    return -(alpha * w * y * (1 - p) ** gamma * np.log(p) + (1 - alpha) * (1 - y) * p**gamma * np.log(1 - p))


def _asymmetric(z, y, w, gp=1.0, gn=4.0, m=0.05):
    p = _p(z)
    q = np.maximum(p - m, 0)
    return -(w * y * (1 - p) ** gp * np.log(p) + (1 - y) * q**gn * np.log(1 - q))


CASES = {
    "bce": (bce, {}, _bce),
    "focal": (focal, {"alpha": 0.25}, _focal),
    "asymmetric": (asymmetric, {"gamma_positive": 1.0}, _asymmetric),
}


@pytest.mark.parametrize("name", CASES)
def test_cell_loss_matches_float64_formula(name):
    ours, options, reference = CASES[name]
    rng = np.random.default_rng(0)
    z, y, w = rng.normal(0, 4, (5, 7)), rng.random((5, 7)), rng.uniform(0.5, 3, 7)
    actual = ours(
        torch.tensor(z, dtype=torch.float32), torch.tensor(y, dtype=torch.float32), torch.tensor(w).float(), **options
    )
    np.testing.assert_allclose(actual.numpy(), reference(z, y, w), rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_cell_loss_gradients(name):
    ours, options, _ = CASES[name]
    torch.manual_seed(0)
    z = (3 * torch.randn(4, 3, dtype=torch.float64)).requires_grad_()
    y = torch.rand(4, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda logits: ours(logits, y, **options), (z,))


@pytest.mark.parametrize("name", CASES)
def test_extreme_logits_stay_finite(name):
    ours, options, _ = CASES[name]
    z = torch.tensor([-1e4, -90.0, 0.0, 90.0, 1e4], requires_grad=True)
    for y in (0.0, 1.0):
        loss = ours(z, torch.full_like(z, y), **options)
        (grad,) = torch.autograd.grad(loss.sum(), z)
        assert loss.isfinite().all() and grad.isfinite().all() and (loss >= 0).all()


def test_special_cases_reduce_to_bce():
    z, y = torch.randn(20), torch.rand(20)
    torch.testing.assert_close(focal(z, y, gamma=0.0), bce(z, y))
    torch.testing.assert_close(asymmetric(z, y, gamma_positive=0.0, gamma_negative=0.0, margin=0.0), bce(z, y))


def test_negatives_below_the_margin_cost_nothing():
    assert asymmetric(torch.tensor(-5.0), torch.tensor(0.0)).item() == 0.0
