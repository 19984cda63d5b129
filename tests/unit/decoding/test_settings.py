"""Settings of decoding: what is refused, and that every parameter has a rule and a decoder."""

import pytest

from rfcx_ssl.decoding.settings import PARAMETERS, USED_BY, DecodeSettings


def test_every_parameter_is_a_setting_that_some_decoder_uses():
    assert {key for used in USED_BY.values() for key in used} == set(PARAMETERS)
    assert all(getattr(DecodeSettings(), key) is None for key in PARAMETERS)
    assert all(parameter.allows(parameter.default) for parameter in PARAMETERS.values())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 0.0}, r"threshold=0.0 must be in \(0, 1\]"),
        ({"threshold": float("nan")}, "threshold=nan is not a finite number"),
        ({"threshold": 0.4, "low_threshold": 0.5}, r"low_threshold=0.5 must be in \(0, threshold=0.4\]"),
        ({"median_s": 61.0}, r"median_s=61.0 must be in \[0, 60\] seconds"),
        ({"step_filter_s": 0.0}, r"step_filter_s=0.0 must be in \(0, 60\] seconds"),
        ({"merge_relative": 0.5}, r"merge_relative=0.5 must be in \[1, 1000\]"),
        ({"decoder": "peaks"}, "decoder='peaks' must be one of 'hysteresis', 'change_point'"),
        ({"recording_score": "mean"}, "recording_score='mean' must be one of"),
        ({"top_s": 0.0}, "top_s=0.0 must be in"),
    ],
)
def test_settings_without_a_meaning_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        DecodeSettings(**values)
