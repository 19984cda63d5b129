"""Bins of probability against a loop."""

import numpy as np
import pytest

from rfcx_ssl.tuning.reliability import reliability


def test_bins_and_the_expected_error_equal_a_loop():
    rng = np.random.default_rng(0)
    probability = np.append(rng.random(300), [0.0, 1.0, np.nan])
    present = np.append(rng.random(300) < 0.4, [False, True, True])
    found, error = reliability(probability, present), 0.0
    for place in range(10):
        inside = [
            i for i, p in enumerate(probability) if place / 10 <= p < (place + 1) / 10 or (place == 9 and p == 1)
        ]
        assert found.count[place] == len(inside)
        assert found.confidence[place] == pytest.approx(probability[inside].mean())
        assert found.share[place] == pytest.approx(present[inside].mean())
        error += len(inside) / 302 * abs(probability[inside].mean() - present[inside].mean())
    assert found.error == pytest.approx(error)


def test_nothing_has_no_error():
    assert np.isnan(reliability(np.array([np.nan]), np.array([True])).error)
