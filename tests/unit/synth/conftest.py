from pathlib import Path

import pytest

from rfcx_ssl.synth import SynthSettings, generate

SMALL = SynthSettings(seed=5, train_recordings=28, test_recordings=8, duration_s=10.0, train_sites=3, test_sites=2)


@pytest.fixture(scope="session")
def small_settings() -> SynthSettings:
    return SMALL


@pytest.fixture(scope="session")
def forest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small forest, made once for all tests that only read it."""
    out = tmp_path_factory.mktemp("synth") / "forest"
    generate(out, SMALL, workers=1, progress=False)
    return out
