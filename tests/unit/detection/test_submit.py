"""What shapes hearing and what does not; the pipeline test hears."""

import pytest

from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.submit import HIGHEST_S, hearing

RULES = {
    "tuned": False,
    "threshold": 0.2,
    "recording_score": "top",
    "top_s": 2.0,
    "include": ("s3",),
    "exclude": ("s4",),
    "prevalence": "table",
    "prevalence_recordings": 3,
}


@pytest.mark.parametrize("rule", RULES)
def test_rules_for_scores_hear_nothing_again(rule):
    assert hearing(DetectSettings(**{rule: RULES[rule]}), 2) == hearing(DetectSettings(), 2)


@pytest.mark.parametrize(
    "change",
    [
        {"overlap": 0.1},
        {"speeds": (1.0, 0.9)},
        {"combine": "geometric"},
        {"weights": (1.0, 2.0)},
        {"activity_gate": 0.1},
    ],
)
def test_what_shapes_hearing_is_heard_for_itself(change):
    ((key, value),) = change.items()
    assert getattr(hearing(DetectSettings(**change), 2), key) == value


def test_the_weight_of_one_model_means_nothing():
    assert hearing(DetectSettings(weights=(2.0,)), 1) == hearing(DetectSettings(), 1)


def test_a_longer_stretch_of_highest_frames_is_kept_where_it_is_needed():
    assert hearing(DetectSettings(recording_score="top", top_s=7.0), 1).top_s == 7.0
    assert hearing(DetectSettings(top_s=7.0), 1).top_s == HIGHEST_S
