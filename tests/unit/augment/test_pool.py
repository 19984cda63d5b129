import json

import numpy as np
import pytest
import torch

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment.pool import load_pool, write_pool
from rfcx_ssl.errors import AudioError, ConfigError


def write_sources(folder):
    """Three files of constant level, so that a piece tells which file it came from."""
    for number, level in enumerate((0.1, 0.2, 0.3)):
        write_flac(folder / f"rec{number}.flac", np.full(8_000 * 3, level, np.float32), 8_000)


def test_pieces_come_from_all_files(tmp_path) -> None:
    write_sources(tmp_path)
    write_pool(tmp_path / "pool", [tmp_path], 8_000, total_s=6.0, piece_s=1.0)
    samples = load_pool(tmp_path / "pool", 8_000)
    assert samples.dtype == torch.int16 and samples.shape == (48_000,)
    levels = (samples.view(6, 8_000).float().mean(1) / 32_768).tolist()
    np.testing.assert_allclose(levels, [0.1, 0.2, 0.3] * 2, atol=1e-3)
    about = json.loads((tmp_path / "pool" / "pool.json").read_text())
    assert about["sample_rate_hz"] == 8_000 and len(about["files"]) == 3
    assert sorted(path.name for path in (tmp_path / "pool").iterdir()) == ["pool.json", "samples.npy"]


def test_the_same_seed_gives_the_same_pool_and_the_rate_is_that_asked_for(tmp_path) -> None:
    rng = np.random.default_rng(0)
    write_flac(tmp_path / "a.flac", rng.uniform(-0.5, 0.5, 48_000).astype(np.float32), 48_000)
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        write_pool(tmp_path / name, [tmp_path / "a.flac"], 32_000, total_s=1.0, piece_s=0.25, seed=seed)
    one, two, three = (load_pool(tmp_path / name, 32_000) for name in ("one", "two", "three"))
    assert one.shape == (32_000,) and torch.equal(one, two) and not torch.equal(one, three)


def test_mistakes_are_named(tmp_path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(AudioError, match="no audio files in"):
        write_pool(tmp_path / "pool", [tmp_path / "empty"], 8_000, total_s=1.0)
    write_sources(tmp_path)
    write_pool(tmp_path / "pool", [tmp_path], 8_000, total_s=1.0)
    with pytest.raises(ConfigError, match="exists already"):
        write_pool(tmp_path / "pool", [tmp_path], 8_000, total_s=1.0)
    with pytest.raises(ConfigError, match="recorded at 8000 Hz, needs 32000 Hz"):
        load_pool(tmp_path / "pool", 32_000)
    with pytest.raises(ConfigError, match="not a background pool"):
        load_pool(tmp_path / "empty", 32_000)
    np.save(tmp_path / "pool" / "samples.npy", np.zeros((2, 3)))
    with pytest.raises(ConfigError, match=r"one row of int16, is float64 of shape \(2, 3\)"):
        load_pool(tmp_path / "pool", 8_000)
