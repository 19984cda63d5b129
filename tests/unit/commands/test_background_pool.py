import argparse

import numpy as np
import pytest
import soundfile

from rfcx_ssl.audio import write_flac
from rfcx_ssl.augment.pool import load_pool
from rfcx_ssl.commands import background_pool
from rfcx_ssl.errors import ConfigError


def run(*arguments) -> None:
    parser = argparse.ArgumentParser()
    background_pool.add_arguments(parser)
    background_pool.run(parser.parse_args([str(argument) for argument in arguments]))


def test_writes_the_pool_that_was_asked_for(tmp_path) -> None:
    write_flac(tmp_path / "a.flac", np.full(24_000, 0.1, np.float32), 8_000)
    run(tmp_path / "pool", tmp_path, "--sample-rate", 8_000, "--seconds", 2, "--piece", 0.5)
    assert load_pool(tmp_path / "pool", 8_000).numel() == 16_000


def test_folders_are_searched_to_any_depth_and_opus_is_audio(tmp_path) -> None:
    path = tmp_path / "card" / "night" / "a.opus"
    path.parent.mkdir(parents=True)
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 24_000), 8_000, format="OGG", subtype="OPUS")
    run(tmp_path / "pool", tmp_path / "card", "--sample-rate", 8_000, "--seconds", 2, "--piece", 0.5)
    assert str(path) in (tmp_path / "pool" / "pool.json").read_text()
    assert load_pool(tmp_path / "pool", 8_000).float().std() > 1_000


def test_lengths_must_be_positive(tmp_path) -> None:
    with pytest.raises(ConfigError, match="--seconds > 0"):
        run(tmp_path / "pool", tmp_path, "--seconds", 0)
