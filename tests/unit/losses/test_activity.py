"""Activity targets of every three-state combination."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rfcx_ssl.losses.activity import activity_targets


@pytest.mark.parametrize(
    ("target", "known", "expected"),
    [
        ([0, 0], [0, 0], (0, 0)),  # nothing known
        ([0, 0], [1, 0], (0, 0)),  # one absent, the other may call
        ([0, 0], [1, 1], (0, 1)),  # known silence
        ([0, 0], [1, 0.5], (0, 0.5)),  # half-known silence
        ([1, 0], [1, 0], (1, 1)),  # known call
        ([0.7, 0], [0.5, 0], (0.7, 0.5)),  # soft pseudo-label
        ([1, 1], [0.5, 1], (1, 1)),  # the surer call decides
        ([0.9, 0.6], [0.3, 1], (0.6, 1)),  # its target as well as its weight
        ([0.3, 0], [0.5, 0], (0.3, 0)),  # a low pseudo-label is no call, and the other output may call
        ([0.3, 0.1], [0.5, 0.5], (0.3, 0.5)),  # every output low: silent, with the doubt that is left
        ([0.3, 0], [0.2, 1], (0.3, 0.2)),  # silent as far as the least sure output says so
    ],
)
def test_activity(target, known, expected):
    y, w = activity_targets(torch.tensor([[target]]).float(), torch.tensor([[known]]).float())
    assert (y.item(), w.item()) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("target", "known", "expected"),
    [
        ([0, 0], [0, 0], (0, 0.1)),  # nothing known: weakly silent
        ([0, 0], [1, 0], (0, 0.1)),
        ([0, 0], [1, 0.5], (0, 0.5)),  # known silence counts as before
        ([1, 0], [0.05, 0], (1, 0.05)),  # a call is a call, however weak
    ],
)
def test_weak_silence(target, known, expected):
    y, w = activity_targets(torch.tensor([[target]]).float(), torch.tensor([[known]]).float(), silence_weight=0.1)
    assert (y.item(), w.item()) == pytest.approx(expected)


def test_noise_is_no_call():
    target, known = torch.tensor([[[0.0, 1.0, 0.0]]]), torch.ones(1, 1, 3)
    y, w = activity_targets(target, known, noise_output=1)
    assert (y.item(), w.item()) == (0, 1)
    y, w = activity_targets(1 - target, known, noise_output=1)
    assert (y.item(), w.item()) == (1, 1)


def _frame_loop(target, known, silence_weight, noise):
    """One frame, output by output."""
    calls, rest = [], []
    for k, (y, w) in enumerate(zip(target, known, strict=True)):
        if k == noise:
            continue
        (calls if w > 0 and y >= 0.5 else rest).append((y, w))
    if calls:
        return max(calls, key=lambda call: call[0] * call[1])
    return max(y for y, _ in rest), max(silence_weight, min(w for _, w in rest))


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.1]), st.sampled_from([None, 0, 2]))
def test_activity_matches_a_loop_on_soft_labels(seed, silence_weight, noise):
    rng = np.random.default_rng(seed)
    known = rng.choice([0.0, 0.3, 0.7, 1.0], (2, 6, 3), p=[0.2, 0.3, 0.2, 0.3])
    target = rng.choice([0.0, 0.1, 0.4, 0.6, 0.85, 1.0], known.shape, p=[0.4, 0.2, 0.2, 0.1, 0.05, 0.05]) * (known > 0)
    actual = activity_targets(
        torch.tensor(target), torch.tensor(known), silence_weight=silence_weight, noise_output=noise
    )
    expected = [[_frame_loop(target[b, t], known[b, t], silence_weight, noise) for t in range(6)] for b in range(2)]
    np.testing.assert_allclose(torch.stack(actual, dim=-1).numpy(), np.array(expected), atol=1e-12)
