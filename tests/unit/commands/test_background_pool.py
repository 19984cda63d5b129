import argparse

import numpy as np
import pytest

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


def test_lengths_must_be_positive(tmp_path) -> None:
    with pytest.raises(ConfigError, match="--seconds > 0"):
        run(tmp_path / "pool", tmp_path, "--seconds", 0)
