import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.synth import SynthSettings


@pytest.mark.parametrize("preset", ["tiny", "demo", "full"])
def test_every_preset_loads(preset):
    assert load_settings(SynthSettings, "synth", preset).train_recordings > 0


def test_full_preset_has_the_size_of_the_competition():
    full = load_settings(SynthSettings, "synth", "full")
    assert (full.train_recordings, full.test_recordings, full.duration_s) == (4727, 1992, 60.0)


def test_overrides_reach_the_settings():
    settings = load_settings(SynthSettings, "synth", "tiny", ["snr_min_db=-10", "rain=1.0"])
    assert (settings.snr_min_db, settings.rain) == (-10.0, 1.0)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ("duration_s=5", "duration_s=5"),
        ("train_recordings=0", "train_recordings=0"),
        ("rain=1.5", "rain=1.5"),
        ("fp_max=1", "fp_min"),
        ("snr_max_db=-20", "snr_min_db"),
        ("night=0.0", "night=0"),
        ("seed=-1", "seed=-1"),
        ("snr_mn_db=3", "did you mean 'snr_min_db'"),
        ("wind=often", "wind"),
    ],
)
def test_a_bad_setting_is_named(override, named):
    with pytest.raises(ConfigError, match=named):
        load_settings(SynthSettings, "synth", "tiny", [override])
