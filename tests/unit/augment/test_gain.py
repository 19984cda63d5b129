import pytest
import torch

from rfcx_ssl.augment.gain import GainAugmentation, GainSettings


def test_gains_are_uniform_in_db_and_labels_stay(make_batch) -> None:
    batch = make_batch(size=2_000, samples=10, outputs=1, level=1.0)
    module = GainAugmentation(GainSettings(p=0.75, min_db=-12, max_db=6))
    louder = module(batch, torch.Generator().manual_seed(0))
    ratio = louder.waveform.double() / batch.waveform.double()
    level_db = 20 * torch.log10(ratio.mean(1))
    changed = level_db.abs() > 1e-6
    assert (ratio.std(1) < 1e-6).all() and changed.sum() == 1_500
    assert level_db.min() > -12.001 and level_db.max() < 6.001
    assert abs(level_db[changed].mean() + 3.0) < 0.5 and abs(level_db[changed].std() - 18 / 12**0.5) < 0.3
    assert torch.equal(louder.waveform[~changed], batch.waveform[~changed])
    assert all(after is before for after, before in zip(louder[1:], batch[1:], strict=True))


@pytest.mark.parametrize("values", [{"p": 2.0}, {"min_db": 7.0}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        GainSettings(**{"p": 1.0, **values})
