import pytest
import torch

from rfcx_ssl.augment.polarity import PolarityAugmentation, PolaritySettings


def test_the_sign_of_chosen_crops_turns(make_batch, changed_crops) -> None:
    batch = make_batch(size=200, samples=10, outputs=1)
    module = PolarityAugmentation(PolaritySettings(p=0.5))
    draws = module.draw(batch, torch.Generator().manual_seed(0))
    turned = module.transform(batch, draws)
    sign = torch.where(changed_crops(draws, 200), -1.0, 1.0)[:, None]
    assert (sign < 0).sum() == 100
    assert torch.equal(turned.waveform, batch.waveform * sign)
    assert all(after is before for after, before in zip(turned[1:], batch[1:], strict=True))


def test_wrong_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="p=2"):
        PolaritySettings(p=2.0)
