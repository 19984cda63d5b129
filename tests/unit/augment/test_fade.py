import numpy as np
import pytest
import torch

from rfcx_ssl.augment.fade import FadeAugmentation, FadeSettings


def test_amplitude_moves_linearly_between_two_gains(make_batch, changed_crops) -> None:
    batch = make_batch(size=5, samples=1_000)
    module = FadeAugmentation(FadeSettings(p=0.5, min_db=-20, max_db=6))
    draws = module.draw(batch, torch.Generator().manual_seed(0))
    faded = module.transform(batch, draws)
    for place, crop in enumerate(draws["rows"].tolist()):
        if not draws["active"][place]:
            continue
        ends = [10 ** (draws[key][place].item() / 20) for key in ("start_db", "stop_db")]
        expected = batch.waveform[crop].double().numpy() * np.linspace(*ends, 1_000)
        np.testing.assert_allclose(faded.waveform[crop].numpy(), expected, atol=1e-6)
    unchanged = ~changed_crops(draws, 5)
    assert 2 <= unchanged.sum() <= 3
    assert torch.equal(faded.waveform[unchanged], batch.waveform[unchanged])
    assert all(torch.equal(after, before) for after, before in zip(faded[1:], batch[1:], strict=True))


@pytest.mark.parametrize("values", [{"p": 2.0}, {"min_db": 7.0}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        FadeSettings(**{"p": 1.0, **values})
