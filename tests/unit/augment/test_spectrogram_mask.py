import pytest
import torch

from rfcx_ssl.augment.spectrogram_mask import SpectrogramMask, SpectrogramMaskSettings


def masked(values, shape=(200, 40, 300), seed=0):
    spectrogram = torch.randn(shape, generator=torch.Generator().manual_seed(9)) + 5.0
    module = SpectrogramMask(SpectrogramMaskSettings(**values))
    return spectrogram, module(spectrogram, torch.Generator().manual_seed(seed))


def test_masks_are_whole_bands_of_the_mean() -> None:
    spectrogram, result = masked({"p": 0.8, "time_masks": 1, "frequency_masks": 1, "max_time_fraction": 0.2})
    hidden = result != spectrogram
    assert torch.equal(result[hidden], spectrogram.mean((1, 2))[:, None, None].expand_as(result)[hidden])
    touched = hidden.flatten(1).any(1)
    assert 0.65 < touched.float().mean() < 0.9
    for mask in hidden[touched]:
        columns, rows = mask.all(0), mask.all(1)
        assert torch.equal(mask, columns[None, :] | rows[:, None])
        for band, most in ((columns, 60), (rows, 4)):
            assert band.sum() <= most and band.int().diff().abs().sum() <= 2  # one run at most


def test_widths_and_places_cover_their_range() -> None:
    spectrogram, result = masked({"p": 1.0, "time_masks": 1, "frequency_masks": 0, "max_time_fraction": 0.1})
    hidden = (result != spectrogram).any(1)
    width = hidden.sum(1)
    assert width.max() in (28, 29) and abs(width.float().mean() - 14.5) < 2
    reached = hidden.any(0).float().mean()
    assert reached > 0.97


def test_extra_dimensions_share_a_mask() -> None:
    spectrogram, result = masked({"p": 1.0}, shape=(3, 2, 40, 100))
    hidden = result != spectrogram
    assert hidden.any() and torch.equal(hidden[:, 0], hidden[:, 1])


def test_identity_in_eval_mode_and_the_same_for_the_same_seed() -> None:
    spectrogram, first = masked({"p": 1.0})
    assert torch.equal(first, masked({"p": 1.0})[1]) and not torch.equal(first, masked({"p": 1.0}, seed=1)[1])
    assert SpectrogramMask(SpectrogramMaskSettings(p=1.0)).eval()(spectrogram) is spectrogram
    assert masked({"p": 0.0})[1].equal(spectrogram)


def test_compiles_as_one_graph() -> None:
    torch._dynamo.reset()
    module = SpectrogramMask(SpectrogramMaskSettings(p=1.0))
    assert torch.compile(module, fullgraph=True, backend="eager")(torch.randn(2, 8, 9)).shape == (2, 8, 9)


@pytest.mark.parametrize(
    "values", [{"p": 2.0}, {"time_masks": -1}, {"max_time_fraction": 2.0}, {"max_frequency_fraction": -0.1}]
)
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        SpectrogramMaskSettings(**values)
