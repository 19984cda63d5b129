"""Settings of detection: what is refused, and the windows they make."""

import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.settings import DetectSettings


def test_shipped_file_is_the_default():
    assert load_settings(DetectSettings, "inference", "detect") == DetectSettings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("threshold=0", r"threshold=0.0 must be in \(0, 1\]"),
        ("low_threshold=0.6", r"low_threshold=0.6 must be in \(0, threshold=0.5\]"),
        ("median_s=-1", r"median_s=-1.0 must be in \[0, 60\]"),
        ("overlap=1", r"overlap=1.0 must be in \[0, 1\)"),
        ("window_s=0", "window_s=0.0 must be above 0"),
        ("batch_size=0", "at least 1"),
        ("treshold=0.3", "did you mean 'threshold'"),
    ],
)
def test_mistakes_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(DetectSettings, "inference", "detect", [override])


def test_windows_follow_the_model_unless_set():
    own = DetectSettings().window_options(100, 500)
    assert own == {"window_samples": 500, "hop_samples": 250, "aggregate": "max", "batch_size": 8}
    set_by_hand = DetectSettings(window_s=2.0, overlap=0.75, aggregate="mean").window_options(100, 500)
    assert (set_by_hand["window_samples"], set_by_hand["hop_samples"]) == (200, 50)
    assert DetectSettings(threshold=0.4).low == 0.2 and DetectSettings(low_threshold=0.3).low == 0.3
