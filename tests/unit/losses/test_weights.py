"""Weights of three-state cells against a slow loop."""

import hypothesis.strategies as st
import numpy as np
import torch
from hypothesis import given, settings

from rfcx_ssl.losses.weights import box_weights, cell_weights, run_lengths, weighted_mean


def _box_loop(target, known, unknown):
    """One (T,) column, box by box."""
    weights, start = np.zeros(len(target)), 0
    for t in range(1, len(target) + 1):
        ends = t == len(target) or (known[t] > 0) != (known[start] > 0) or target[t] != target[start]
        if ends:
            if known[start] > 0:
                weights[start:t] = known[start:t] / (t - start)
            start = t
    empty = known <= 0
    if empty.any():
        weights[empty] = unknown / empty.sum()
    return weights


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 12), st.sampled_from([0.0, 0.1]))
def test_box_weights_match_a_loop(seed, num_frames, unknown):
    rng = np.random.default_rng(seed)
    known = rng.choice([0.0, 0.0, 0.5, 1.0], (2, num_frames, 3))
    target = rng.choice([0.0, 1.0], known.shape) * (known > 0)
    actual = box_weights(torch.tensor(target), torch.tensor(known), unknown).numpy()
    for b in range(2):
        for k in range(3):
            np.testing.assert_allclose(
                actual[b, :, k], _box_loop(target[b, :, k], known[b, :, k], unknown), atol=1e-12
            )


def test_every_box_weighs_one_and_the_unknown_rest_what_is_asked():
    target, known = torch.zeros(1, 10, 1), torch.zeros(1, 10, 1)
    known[0, 1:3], known[0, 5:9] = 1.0, 1.0
    target[0, 5:9] = 1.0
    weights = box_weights(target, known, 0.1)[0, :, 0]
    torch.testing.assert_close(weights[1:3].sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights[5:9].sum(), torch.tensor(1.0))
    torch.testing.assert_close(weights.sum(), torch.tensor(2.1))
    assert run_lengths(target, known > 0)[0, :, 0].tolist() == [1, 2, 2, 2, 2, 4, 4, 4, 4, 1]


def test_cell_weights():
    assert cell_weights(torch.tensor([0.0, 0.5, 1.0]), 0.2).tolist() == [0.20000000298023224, 0.5, 1.0]


def test_weighted_mean_of_nothing_is_zero_with_zero_gradient():
    values = torch.randn(3, requires_grad=True)
    mean = weighted_mean(values, torch.zeros(3))
    mean.backward()
    assert mean.item() == 0 and values.grad.tolist() == [0, 0, 0]
