import numpy as np
import pytest
import torch

from rfcx_ssl.augment.speed import SpeedAugmentation, SpeedSettings

RATE_HZ = 32_000


@pytest.mark.parametrize("factor", [0.9, 1.1, 0.5, 2.0])
def test_a_tone_changes_pitch_and_stays_in_place(factor, grid, make_batch) -> None:
    samples = 32_000
    time = (np.arange(samples) - samples / 2) / RATE_HZ
    bump = np.exp(-((time / 0.05) ** 2)) * np.cos(2 * np.pi * 2_000 * time)
    batch = make_batch(size=2, samples=samples)._replace(waveform=torch.tensor(np.stack([bump, bump])).float())
    module = SpeedAugmentation(SpeedSettings(p=1.0, factors=(factor,)), grid, coverage=0.5)
    fast = module.transform(batch, {"factor": torch.tensor([0]), "rows": torch.tensor([0])})
    offset = (int(np.ceil(samples / factor)) - samples) // 2
    heard = (
        np.arange(samples) + offset
    ) * factor / RATE_HZ - samples / 2 / RATE_HZ  # where in the source, from its middle
    assert np.abs(heard).argmin() in (samples // 2 - 1, samples // 2)
    expected = np.exp(-((heard / 0.05) ** 2)) * np.cos(2 * np.pi * 2_000 * heard)
    np.testing.assert_allclose(fast.waveform[0].numpy(), expected, atol=2e-3)
    assert torch.equal(fast.waveform[1], batch.waveform[1]) and torch.equal(fast.target[1], batch.target[1])


def test_faster_crops_do_not_alias(grid, make_batch) -> None:
    time = torch.arange(32_000) / RATE_HZ
    tone = torch.cos(2 * torch.pi * 15_500 * time)  # 1.1 times as fast: 17 050 Hz, above half the sample rate
    batch = make_batch(size=1)._replace(waveform=tone[None])
    fast = SpeedAugmentation(SpeedSettings(p=1.0, factors=(1.1,)), grid, coverage=0.5)(
        batch, torch.Generator().manual_seed(0)
    )
    middle = fast.waveform[0, 8_000:24_000]
    assert middle.square().mean() < 0.01 * tone.square().mean()


def test_ends_of_faster_crops_are_silent_and_unknown(grid, make_batch) -> None:
    batch = make_batch(size=1)
    fast = SpeedAugmentation(SpeedSettings(p=1.0, factors=(1.25,)), grid, coverage=0.5)(
        batch, torch.Generator().manual_seed(0)
    )
    assert fast.waveform[0, :3_190].abs().max() == 0 and fast.waveform[0, -3_190:].abs().max() == 0
    assert fast.known[0, :4].sum() == 0 and fast.known[0, -4:].sum() == 0
    assert fast.waveform.shape == batch.waveform.shape and fast.known[0, 6:-6].sum() > 0


def test_clip_labels_survive_if_the_call_does(grid, make_batch) -> None:
    batch = make_batch(size=2, outputs=2)
    for field in batch[1:5]:
        field.zero_()
    batch.clip_target.fill_(1.0), batch.clip_known.fill_(1.0)
    for output, frames in ((0, slice(0, 3)), (1, slice(20, 30))):  # at an end, in the middle
        batch.target[:, frames, output] = batch.known[:, frames, output] = 1.0
    module = SpeedAugmentation(SpeedSettings(p=1.0, factors=(0.8,)), grid, coverage=0.5)
    slow = module.transform(batch, {"factor": torch.tensor([0]), "rows": torch.tensor([0])})
    assert slow.clip_known.tolist() == [[0.0, 1.0], [1.0, 1.0]]
    assert 12 <= slow.target[0, :, 1].sum() <= 14  # 10 / 0.8, and the frames that are touched on either side


def test_every_factor_is_drawn(grid, make_batch) -> None:
    batch = make_batch(size=300, samples=640, outputs=1)
    module = SpeedAugmentation(SpeedSettings(p=1.0, factors=(0.8, 0.9, 1.1)), grid, coverage=0.5)
    share = torch.bincount(module.draw(batch, torch.Generator().manual_seed(0))["factor"]) / 300
    np.testing.assert_allclose(share.numpy(), [1 / 3] * 3, atol=0.1)


@pytest.mark.parametrize("values", [{"p": 2.0}, {"factors": ()}, {"factors": (0.3,)}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SpeedSettings(**{"p": 1.0, **values})


def test_a_tag_loses_the_share_of_its_crop_that_a_slower_one_loses(grid, make_batch) -> None:
    batch = make_batch(size=2, outputs=1)
    for field in batch[1:4]:
        field.zero_()
    batch.clip_target.fill_(1.0), batch.clip_known.fill_(0.5)
    module = SpeedAugmentation(SpeedSettings(p=1.0, factors=(0.8, 1.25)), grid, coverage=0.5)
    played = module.transform(batch, {"factor": torch.tensor([0, 1]), "rows": torch.tensor([0, 1])})
    np.testing.assert_allclose(played.clip_known[:, 0].numpy(), [0.4, 0.5], rtol=1e-6)
