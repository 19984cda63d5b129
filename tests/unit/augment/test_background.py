import numpy as np
import pytest
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment.background import BackgroundAugmentation, BackgroundSettings
from rfcx_ssl.augment.pool import write_pool
from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import ConfigError

RATE_HZ = 32_000


@pytest.fixture
def pool(tmp_path):
    """Two seconds of noise, then one of silence."""
    samples = np.random.default_rng(0).normal(0, 0.1, RATE_HZ * 3).astype(np.float32)
    samples[2 * RATE_HZ :] = 0.0
    write_flac(tmp_path / "a.flac", samples, RATE_HZ)
    write_pool(tmp_path / "pool", [tmp_path / "a.flac"], RATE_HZ, total_s=3.0, piece_s=3.0)
    return tmp_path / "pool"


def module_of(pool, grid, noise_output=None, **values):
    return BackgroundAugmentation(BackgroundSettings(pool=pool, **{"p": 1.0, **values}), grid, noise_output)


def test_pieces_of_the_pool_are_added_at_the_drawn_ratio(pool, grid, make_batch, changed_crops) -> None:
    batch = make_batch(size=16, samples=6_400)
    module = module_of(pool, grid, p=0.5, snr_min_db=0, snr_max_db=30)
    draws = module.draw(batch, torch.Generator().manual_seed(0))
    draws["place"][0] = 0.999  # in the silence
    chosen, row_of = changed_crops(draws, 16), {crop: row for row, crop in enumerate(draws["rows"].tolist())}
    added = (module.transform(batch, draws).waveform - batch.waveform).double().numpy()
    source = module.samples.double().numpy() / 32_768
    for crop in range(16):
        if not chosen[crop]:
            assert (added[crop] == 0).all()
            continue
        row = row_of[crop]
        first = int(draws["place"][row].item() * (len(source) - 6_400 + 1))
        piece, clean = source[first : first + 6_400], batch.waveform[crop].double().numpy()
        if piece.std() == 0:
            assert (added[crop] == 0).all()
            continue
        scale = np.sqrt((clean**2).mean() / (piece**2).mean()) * 10 ** (-draws["snr_db"][row].item() / 20)
        np.testing.assert_allclose(added[crop], scale * piece, atol=2e-6)
    assert chosen.sum() == 8


def test_absent_becomes_unknown_unless_the_pool_is_free_of_calls(pool, grid, make_batch) -> None:
    batch = make_batch(size=4, samples=6_400, outputs=3)
    batch.target[..., 2] = batch.known[..., 2] * (torch.rand(4, 10) < 0.5)  # output 2 is the noise class
    draws = {"rows": torch.arange(3), "place": torch.zeros(3), "snr_db": torch.zeros(3)}
    mixed = module_of(pool, grid, noise_output=2).transform(batch, draws)
    expected = batch.target.clone()
    expected[..., 2] = batch.known[..., 2] - batch.target[..., 2]  # "no noise" is what stays certain there
    assert torch.equal(mixed.known[:3], expected[:3]) and torch.equal(mixed.known[3], batch.known[3])
    assert torch.equal(mixed.target[:3, :, :2], batch.target[:3, :, :2]) and mixed.target[:3, :, 2].sum() == 0
    free = module_of(pool, grid, noise_output=2, may_hold_calls=False).transform(batch, draws)
    assert all(torch.equal(after, before) for after, before in zip(free[1:], batch[1:], strict=True))


def test_a_pool_shorter_than_a_crop_is_repeated(pool, grid, make_batch) -> None:
    batch = make_batch(size=2, samples=4 * RATE_HZ)
    draws = {"rows": torch.arange(2), "place": torch.zeros(2), "snr_db": torch.zeros(2)}
    added = module_of(pool, grid).transform(batch, draws).waveform - batch.waveform
    torch.testing.assert_close(added[:, : RATE_HZ // 2], added[:, 3 * RATE_HZ : 3 * RATE_HZ + RATE_HZ // 2])


def test_no_file_is_opened_by_the_transform(pool, grid, make_batch, monkeypatch) -> None:
    module = module_of(pool, grid)
    for name in ("samples.npy", "pool.json"):
        (pool / name).unlink()
    assert module(make_batch(samples=6_400)).waveform.isfinite().all()


def test_a_probability_needs_a_pool() -> None:
    with pytest.raises(ConfigError, match=r"augment.background: pool: required, not set"):
        check_settings(BackgroundSettings, {"p": 0.5}, "augment.background")


@pytest.mark.parametrize("values", [{"p": 2.0}, {"snr_min_db": 50.0}])
def test_wrong_settings_are_refused(values, tmp_path) -> None:
    with pytest.raises(ValueError, match=next(iter(values))):
        BackgroundSettings(pool=tmp_path, **{"p": 1.0, **values})
