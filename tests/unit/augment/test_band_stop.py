import numpy as np
import pytest
import torch

from rfcx_ssl.augment.band_stop import BandStopAugmentation, BandStopSettings, output_bands_hz
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space, rfcx_species

RATE_HZ = 32_000


def bands(low, high, chosen):
    rows = torch.arange(len(chosen))
    return {"low_hz": torch.tensor(low), "high_hz": torch.tensor(high), "rows": rows, "active": torch.tensor(chosen)}


def test_the_band_is_gone_and_the_rest_is_whole(grid, space, make_batch) -> None:
    batch = make_batch(size=2)
    module = BandStopAugmentation(BandStopSettings(p=1.0), grid, space)
    filtered = module.transform(batch, bands([2_000.0, 2_000.0], [3_000.0, 3_000.0], [True, False]))
    assert torch.equal(filtered.waveform[1], batch.waveform[1])
    gain = np.abs(np.fft.rfft(filtered.waveform[0].double()) / np.fft.rfft(batch.waveform[0].double()))
    assert gain[2_100:2_901].max() < 1e-2  # bins are 1 Hz wide
    np.testing.assert_allclose(np.r_[gain[1:1_900], gain[3_100:]], 1.0, atol=1e-2)
    np.testing.assert_allclose(gain[[2_000, 3_000]], 0.5, atol=0.02)


def test_labels_of_species_that_lost_their_band_are_forgotten(grid, space, make_batch) -> None:
    batch = make_batch(size=2)
    for field in batch[1:5]:
        field.fill_(1.0)
    batch.target[:, ::2] = 0.0  # absent cells must be forgotten too
    module = BandStopAugmentation(BandStopSettings(p=1.0, max_loss=0.3), grid, space)
    result = module.transform(batch, bands([10_000.0, 10_000.0], [12_000.0, 12_000.0], [True, False]))
    lost = set((result.clip_known[0] == 0).nonzero().flatten().tolist())
    for species in range(24):
        rows = [call for call in rfcx_species().calls if call.species_id == species]
        low, high = min(call.f_min_hz for call in rows), max(call.f_max_hz for call in rows)
        share = max(0.0, min(high, 12_000) - max(low, 10_000)) / (high - low)
        assert (species in lost) == (share > 0.3)
        assert (result.known[0, :, species] == 0).all() == (share > 0.3)
    assert 22 in lost and torch.equal(result.known[1], batch.known[1])
    assert (result.target[result.known == 0] == 0).all() and (result.clip_target[result.clip_known == 0] == 0).all()


def test_bands_follow_song_types_and_noise_is_endless() -> None:
    space = label_space(rfcx_species(), split_songtypes=True, noise_class=True)
    table = dict(zip(space.output_names, output_bands_hz(space), strict=True))
    assert table["s17_song1"] == (1312, 3938) and table["s17_song4"] == (1312, 7406)
    assert table["noise"] == (0.0, float("inf"))
    assert output_bands_hz(label_space(rfcx_species()))[23] == (6460, 11628)


def test_noise_is_never_forgotten(grid, make_batch) -> None:
    space = label_space(rfcx_species(), noise_class=True)
    batch = make_batch(size=1, outputs=25)
    batch.known.fill_(1.0)
    module = BandStopAugmentation(BandStopSettings(p=1.0, max_loss=0.0), grid, space)
    result = module.transform(batch, bands([1.0], [15_999.0], [True]))
    assert result.known[..., 24].min() == 1 and result.known[..., :24].max() == 0


def test_draws_lie_in_their_ranges(grid, space, make_batch) -> None:
    config = BandStopSettings(p=0.5, center_min_hz=300, center_max_hz=9_000)
    draws = BandStopAugmentation(config, grid, space).draw(make_batch(size=1_000, samples=1), None)
    center = (draws["low_hz"] * draws["high_hz"]).sqrt()
    octaves = torch.log2(draws["high_hz"] / draws["low_hz"])
    assert center.min() > 299 and center.max() < 9_001 and abs(center.log().median() - np.log(1_643)) < 0.3
    assert octaves.min() > 0.099 and octaves.max() < 0.701


def test_unknown_species_need_a_band(grid) -> None:
    space = LabelSpace(SpeciesTable.of_names(("Bufo bufo",)), ("s0",), (0,), (None,))
    with pytest.raises(ConfigError, match=r"augment.band_stop: output s0 \(Bufo bufo\) has no known frequency band"):
        BandStopAugmentation(BandStopSettings(p=1.0), grid, space)


@pytest.mark.parametrize("values", [{"p": 2.0}, {"center_min_hz": 0.0}, {"width_min_octaves": 2.0}, {"max_loss": 1.0}])
def test_wrong_settings_are_refused(values) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        BandStopSettings(**{"p": 1.0, **values})
