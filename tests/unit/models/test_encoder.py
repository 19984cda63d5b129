"""Frame pooling and fitting."""

import torch

from rfcx_ssl.models.encoder import fit_frames, inside, pool_frames


def test_pooling_concatenates_mean_and_max():
    x = torch.randn(2, 6, 3)
    pooled = pool_frames(x, 3)
    torch.testing.assert_close(pooled[:, 1, :3], x[:, 3:6].mean(1))
    torch.testing.assert_close(pooled[:, 1, 3:], x[:, 3:6].amax(1))
    assert pool_frames(x, 1) is x


def test_fitting_cuts_or_repeats_the_last_frame():
    x = torch.arange(3.0).view(1, 3, 1)
    assert fit_frames(x, 2).flatten().tolist() == [0, 1]
    assert fit_frames(x, 5).flatten().tolist() == [0, 1, 2, 2, 2]


def test_inside():
    assert inside(torch.tensor([0, 2]), 3).tolist() == [[False, False, False], [True, True, False]]
