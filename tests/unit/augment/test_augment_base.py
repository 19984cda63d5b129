import pytest
import torch

from rfcx_ssl.augment.base import decibel_gain, power, random_partner, uniform
from rfcx_ssl.augment.gain import GainAugmentation, GainSettings


def test_identity_in_eval_mode(make_batch) -> None:
    batch = make_batch()
    assert GainAugmentation(GainSettings(p=1.0)).eval()(batch) is batch


@pytest.mark.parametrize("p", [0.0, 1.5])
def test_a_transform_that_never_runs_is_left_out(p) -> None:
    with pytest.raises(ValueError, match=rf"p={p} must be above 0 and at most 1; null leaves the transform out"):
        GainSettings(p=p)


def test_all_randomness_comes_from_the_generator(make_batch) -> None:
    batch, module = make_batch(), GainAugmentation(GainSettings(p=1.0))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    first = module(batch, torch.Generator().manual_seed(7)).waveform
    second = module(batch, torch.Generator().manual_seed(7)).waveform
    third = module(batch, torch.Generator().manual_seed(8)).waveform
    assert torch.equal(first, second) and not torch.equal(first, third)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(("size", "p"), [(4, 0.5), (3, 0.3), (1, 0.7), (30, 0.1), (5, 1.0)])
def test_every_crop_is_chosen_with_the_same_probability(size, p, make_batch, changed_crops) -> None:
    batch, module = make_batch(size=size, samples=1, outputs=1), GainAugmentation(GainSettings(p=p))
    generator = torch.Generator().manual_seed(0)
    masks = torch.stack([changed_crops(module.draw(batch, generator), size) for _ in range(3_000)]).float()
    counts = masks.sum(1)
    assert counts.min() >= int(size * p + 1e-6) and counts.max() <= -int(-(size * p) // 1)
    error = (p * (1 - p) / 3_000) ** 0.5
    assert (masks.mean(0) - p).abs().max() <= 4 * error


def test_crops_that_are_not_chosen_come_back_bit_for_bit(make_batch, changed_crops) -> None:
    batch, module = make_batch(size=5), GainAugmentation(GainSettings(p=0.5, min_db=3.0))
    for seed in range(6):
        draws = module.draw(batch, torch.Generator().manual_seed(seed))
        assert draws["rows"].tolist() == sorted(set(draws["rows"].tolist())) and len(draws["rows"]) == 3
        after = module.transform(batch, draws).waveform
        assert torch.equal((after != batch.waveform).any(1), changed_crops(draws, 5))


def test_helpers(make_batch) -> None:
    batch = make_batch(size=1_000, samples=8, outputs=1)
    draw = uniform(1_000, batch, torch.Generator().manual_seed(0), -3.0, 5.0)
    assert draw.shape == (1_000,) and draw.min() >= -3 and draw.max() < 5 and abs(draw.mean() - 1) < 0.3
    assert sorted(random_partner(batch, None).tolist()) == list(range(1_000))
    torch.testing.assert_close(decibel_gain(torch.tensor([0.0, 20.0, -6.0])), torch.tensor([1.0, 10.0, 10 ** (-0.3)]))
    torch.testing.assert_close(power(batch.waveform), batch.waveform.square().mean(1))
