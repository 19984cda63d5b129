"""Event metrics on hand-made recordings whose values can be counted, and against a slow segment loop."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.metrics.events import EventMetricSettings, event_metrics, merge_calls

FRAME_S = 0.1


def frames_of(calls, duration_s, num_species):
    frames = np.zeros((round(duration_s / FRAME_S), num_species))
    for start, end, species, score in calls:
        frames[round(start / FRAME_S) : round(end / FRAME_S), species] = score
    return frames


def test_perfect_scores_are_perfect_in_everything():
    calls = [[(1.0, 2.5, 0), (4.0, 5.0, 1)], [(0.0, 3.0, 1)], []]
    scores = [frames_of([(*call, 0.9) for call in own], 10, 3) for own in calls]
    for metric in event_metrics(scores, calls, [10.0] * 3, FRAME_S):
        assert metric.macro == pytest.approx(1.0)
        assert_allclose(metric.per_class, [1.0, 1.0, np.nan])


def test_counted_by_hand():
    calls = [[(1.0, 2.0, 0), (5.0, 6.0, 0)]]
    # one call found exactly, one found with a start 0.5 s late, one false detection of 1 s
    scores = [frames_of([(1.0, 2.0, 0, 0.9), (5.5, 6.0, 0, 0.8), (8.0, 9.0, 0, 0.7)], 10, 1)]
    result = event_metrics(scores, calls, [10.0], FRAME_S)
    assert result.segment_f1.macro == pytest.approx(2 * 2 / (2 * 2 + 1))  # segments 1 and 5 found, 8 false
    assert result.event_f1.macro == pytest.approx(2 * 1 / (2 * 1 + 2 + 1))  # the late one is a miss and a false alarm
    assert result.event_f1_best.macro == pytest.approx(
        2 * 1 / (2 * 1 + 1)
    )  # a threshold above 0.8: only the exact one
    assert result.segment_f1_best.macro == pytest.approx(1.0)  # a threshold between 0.7 and 0.8
    # the second call is covered by half, less than 0.7: recall 0.5 at any rate of false detections
    assert result.psds.macro == pytest.approx(0.5)
    lenient = EventMetricSettings(onset_collar_s=0.6, psds_call_tolerance=0.4)
    result = event_metrics(scores, calls, [10.0], FRAME_S, lenient)
    assert result.event_f1_best.macro == pytest.approx(1.0) and result.psds.macro == pytest.approx(1.0)


def test_segment_f1_equals_a_slow_loop():
    rng = np.random.default_rng(4)
    calls = [[(s, s + rng.uniform(0.3, 2), int(rng.integers(3))) for s in rng.uniform(0, 9, 4)] for _ in range(5)]
    scores = [np.repeat(rng.random((20, 3)), 5, axis=0) for _ in range(5)]
    result = event_metrics(scores, calls, [10.0] * 5, FRAME_S)
    for species in range(3):
        hits = misses = false = 0
        for own, frames in zip(calls, scores, strict=True):
            for segment in range(10):
                there = any(k == species and a < segment + 1 and min(b, 10) > segment for a, b, k in own)
                heard = (frames[segment * 10 : segment * 10 + 10, species] > 0.5).any()
                hits, misses, false = hits + (there and heard), misses + (there > heard), false + (heard > there)
        assert result.segment_f1.per_class[species] == pytest.approx(2 * hits / (2 * hits + misses + false))


def test_calls_that_touch_become_one_and_are_cut_at_the_end():
    calls = [(2.0, 3.0, 0), (1.0, 2.0, 0), (1.5, 4.0, 1), (9.0, 12.0, 0), (11.0, 12.0, 1), (-1.0, 0.5, 1)]
    assert merge_calls(calls, 10.0) == [(0.0, 0.5, 1), (1.0, 3.0, 0), (1.5, 4.0, 1), (9.0, 10.0, 0)]


def test_no_calls_at_all_is_nan_and_silence_scores_zero():
    silent = [np.zeros((50, 2))]
    assert np.isnan(event_metrics(silent, [[]], [5.0], FRAME_S).psds.macro)
    for metric in event_metrics(silent, [[(1.0, 2.0, 1)]], [5.0], FRAME_S):
        assert_allclose(metric.per_class[0], np.nan)
    assert event_metrics(silent, [[(1.0, 2.0, 1)]], [5.0], FRAME_S).event_f1.macro == 0.0


def test_mistakes_are_named():
    with pytest.raises(ValueError, match="one entry per recording, got 1, 2, 1"):
        event_metrics([np.zeros((5, 2))], [[], []], [0.5], FRAME_S)
    with pytest.raises(ValueError, match="one S"):
        event_metrics([np.zeros((5, 2)), np.zeros((5, 3))], [[], []], [0.5, 0.5], FRAME_S)
    with pytest.raises(ConfigError, match=r"segment_s=0.0 must be above 0"):
        check_settings(EventMetricSettings, {"segment_s": 0.0}, source="test")
