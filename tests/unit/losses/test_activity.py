"""Activity targets of every three-state combination."""

import pytest
import torch

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
    ],
)
def test_activity(target, known, expected):
    y, w = activity_targets(torch.tensor([[target]]).float(), torch.tensor([[known]]).float())
    assert (y.item(), w.item()) == pytest.approx(expected)
