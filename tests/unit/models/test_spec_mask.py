"""SpecAugment stripes: identity in evaluation, widths, statistics."""

import torch

from rfcx_ssl.models.spec_mask import SpecMask, StripeSettings, stripes


def test_identity_in_evaluation_and_by_default():
    x = torch.randn(2, 1, 20, 8)
    assert SpecMask(StripeSettings(widest=9), None).eval()(x) is x
    torch.testing.assert_close(SpecMask(None, None)(x), x, rtol=0, atol=0)


def test_each_clip_draws_its_own_stripes_on_both_axes():
    x = torch.ones(64, 1, 40, 16)
    y = SpecMask(StripeSettings(widest=10, number=1), StripeSettings(widest=6, number=1)).train()(x)
    times, bands = (y == 0).all(dim=3).squeeze(1), (y == 0).all(dim=2).squeeze(1)
    assert times.sum(1).max() < 10 and bands.sum(1).max() < 6
    assert len({tuple(row.tolist()) for row in times}) > 20
    expected = ~(times[:, None, :, None] | bands[:, None, None, :])
    torch.testing.assert_close(y, expected.float())


def test_stripes_are_contiguous_uniform_and_inside():
    torch.manual_seed(0)
    mask = stripes(4000, 12, 5, 1, torch.device("cpu"))
    widths = mask.sum(1)
    assert set(widths.tolist()) == {0, 1, 2, 3, 4}
    assert abs(widths.float().mean().item() - 2.0) < 0.1
    edges = (mask[:, 1:] != mask[:, :-1]).sum(1) + mask[:, 0].int() + mask[:, -1].int()
    assert edges.max() <= 2
