import numpy as np
import pytest
import torch
import torchaudio

from rfcx_ssl.augment.stretch import TimeStretchAugmentation, TimeStretchSettings

RATE_HZ = 32_000


def stretched(grid, batch, rates, chosen=None, **settings):
    module = TimeStretchAugmentation(
        TimeStretchSettings(p=1.0, min_rate=0.5, max_rate=2.0, **settings), grid, coverage=0.5
    )
    active = torch.tensor(chosen or [True] * len(rates))
    return module.transform(batch, {"rate": torch.tensor(rates), "rows": torch.arange(len(rates)), "active": active})


def test_every_crop_has_its_rate_and_keeps_its_pitch(grid, make_batch) -> None:
    time = (torch.arange(32_000) - 16_000) / RATE_HZ
    burst = torch.exp(-((time / 0.1) ** 2)) * torch.cos(2 * torch.pi * 3_000 * time)
    batch = make_batch(size=3)._replace(waveform=burst.repeat(3, 1))
    rates = [0.8, 1.0, 1.25]
    for waveform, rate in zip(stretched(grid, batch, rates).waveform.double().numpy(), rates, strict=True):
        energy = waveform**2 / (waveform**2).sum()
        center = (energy * time.numpy()).sum()
        width = np.sqrt((energy * (time.numpy() - center) ** 2).sum())
        peak_hz = np.abs(np.fft.rfft(waveform)).argmax()
        assert abs(center) < 0.005 and abs(width / (0.05 / rate) - 1) < 0.05
        assert abs(peak_hz - 3_000) <= 15


def test_columns_agree_with_torchaudio_for_one_rate(grid, make_batch) -> None:
    """Same magnitudes as torchaudio's vocoder, which starts at the first column: compare around the fixed point."""
    batch = make_batch(size=2, samples=16_384)
    module = TimeStretchAugmentation(TimeStretchSettings(p=1.0), grid, coverage=0.5)
    module_out = module._vocode(batch.waveform, torch.tensor([1.0, 1.0]))
    spectrum = torch.stft(batch.waveform, 512, 128, window=module.window, pad_mode="constant", return_complex=True)
    advance = torch.linspace(0, torch.pi * 128, 257)[:, None]
    reference = torchaudio.functional.phase_vocoder(spectrum, 1.0, advance)
    expected = torch.istft(reference, 512, 128, window=module.window, length=16_384)
    torch.testing.assert_close(module_out, expected, rtol=0, atol=1e-3)
    torch.testing.assert_close(module_out, batch.waveform, rtol=0, atol=1e-3)


def test_unchosen_crops_are_untouched(grid, make_batch) -> None:
    batch = make_batch(size=2)
    result = stretched(grid, batch, [0.9, 0.9], chosen=[False, True])
    for after, before in zip(result, batch, strict=True):
        assert torch.equal(after[0], before[0])
    assert not torch.equal(result.waveform[1], batch.waveform[1])


def test_labels_scale_and_ends_become_unknown(grid, make_batch) -> None:
    batch = make_batch(size=2, outputs=1)
    for field in batch[1:5]:
        field.zero_()
    batch.known.fill_(1.0), batch.clip_known.fill_(1.0), batch.clip_target.fill_(1.0)
    batch.target[:, 20:30] = 1.0
    fast, slow = stretched(grid, batch, [2.0, 0.5]).target.sum(1).flatten().tolist()
    assert 5 <= fast <= 8 and 20 <= slow <= 25
    result = stretched(grid, batch, [2.0, 0.5])
    assert result.known[0, :11].sum() == 0 and result.known[0, 14:36].min() == 1 and result.known[1].min() == 1
    assert result.clip_known.tolist() == [[1.0], [1.0]]


@pytest.mark.parametrize("values", [{"p": 2.0}, {"min_rate": 0.1}, {"max_rate": 0.8}, {"window_samples": 30}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        TimeStretchSettings(**{"p": 1.0, **values})


def test_a_tag_loses_the_share_of_its_crop_that_a_slower_one_loses(grid, make_batch) -> None:
    batch = make_batch(size=2, outputs=1)
    for field in batch[1:4]:
        field.zero_()
    batch.clip_target.fill_(1.0), batch.clip_known.fill_(0.5)
    np.testing.assert_allclose(stretched(grid, batch, [0.8, 1.25]).clip_known[:, 0].numpy(), [0.4, 0.5], rtol=1e-6)
