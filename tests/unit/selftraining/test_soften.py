"""The transforms, against loops."""

import numpy as np
import pytest

from rfcx_ssl.selftraining.settings import PseudoLabelSettings
from rfcx_ssl.selftraining.soften import soften


def slow(frames, power, lowest, cap):
    out = []
    for frame in frames:
        values = [p**power if p**power >= lowest else 0.0 for p in frame.tolist()]
        total = sum(values)
        out.append([value * cap / total if cap is not None and total > cap else value for value in values])
    return np.array(out)


@pytest.mark.parametrize("power", [1.0, 1 / 0.65])
@pytest.mark.parametrize("lowest", [0.0, 0.2])
@pytest.mark.parametrize("cap", [None, 0.75, 2.0])
def test_power_then_floor_then_cap(power, lowest, cap):
    frames = np.random.default_rng(0).random((50, 4)).astype(np.float16)
    soft = soften(frames, PseudoLabelSettings(power=power, min_probability=lowest, sum_cap=cap, confidence="peak"))
    expected = slow(frames, power, lowest, cap)
    np.testing.assert_allclose(soft.scores, expected, rtol=1e-5)
    assert soft.weight == pytest.approx(expected.max(), rel=1e-5)


def test_what_would_count_nothing_is_none():
    low = np.full((3, 2), 0.1, np.float16)
    assert soften(low, PseudoLabelSettings(min_probability=0.5, confidence="peak")) is None
    assert soften(low, PseudoLabelSettings(min_probability=0.5)).weight == 1.0
    assert soften(low[:0], PseudoLabelSettings()) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [("power", 0), ("min_probability", 1), ("sum_cap", 0), ("positive", 0), ("max_positive_share", 2), ("overlap", 1), ("seed", -1)],
)  # fmt: skip
def test_values_without_a_meaning(key, value):
    with pytest.raises(ValueError, match=f"{key}={value}"):
        PseudoLabelSettings(**{key: value})
