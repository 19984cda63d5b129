"""Settings of detection: what is refused, and the windows they make."""

import dataclasses

import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import Windows
from rfcx_ssl.training.settings import EvaluationSettings


def test_shipped_file_is_the_default():
    assert load_settings(DetectSettings, "inference", "detect") == DetectSettings()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("threshold=0", r"threshold=0.0 must be in \(0, 1\]"),
        ("threshold=0.5 low_threshold=0.6", r"low_threshold=0.6 must be in \(0, threshold=0.5\]"),
        ("median_s=-1", r"median_s=-1.0 must be in \[0, 60\]"),
        ("overlap=1", r"overlap=1.0 must be in \[0, 1\)"),
        ("window_s=0", "window_s=0.0 must be above 0"),
        ("batch_size=0", "at least 1"),
        ("treshold=0.3", "did you mean 'threshold'"),
    ],
)
def test_mistakes_are_named(override, message):
    with pytest.raises(ConfigError, match=message):
        load_settings(DetectSettings, "inference", "detect", override.split())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window_s": 0.0}, "window_s=0.0 must be above 0"),
        ({"overlap": 1.0}, r"overlap=1.0 must be in \[0, 1\)"),
        ({"aggregate": "median"}, "aggregate='median' must be 'max' or 'mean'"),
    ],
)
def test_windows_without_a_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        WindowSettings(**values)


def test_validation_and_detection_share_their_windows():
    assert issubclass(DetectSettings, WindowSettings) and issubclass(EvaluationSettings, WindowSettings)
    assert {field.name for field in dataclasses.fields(WindowSettings)} == set(Windows._fields)
