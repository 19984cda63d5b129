"""Models that have decided for themselves: read by species, decoded to events, judged by their thresholds."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score

from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import write_decisions
from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.evaluation.decided import decided_frames, own_decisions
from rfcx_ssl.evaluation.evaluate import JudgingOptions, evaluate
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics.events import event_metrics

NAMES = ("a", "b", "c")


def test_decisions_of_some_species_of_a_model(tmp_path):
    assert own_decisions(str(tmp_path), NAMES, [0, 1]) is None
    calibration = ScoreMap(np.array([1.0, 2.0, 3.0]), np.array([0.0, 0.1, 0.2]), {2: Knots(np.array([0.0, 1.0]), np.array([0.1, 0.9]))})  # fmt: skip
    write_decisions(tmp_path / "decisions.json", decide(NAMES, threshold=[0.3, 0.4, 0.5], calibration=calibration))
    found = own_decisions(str(tmp_path), NAMES, [2, 0])
    assert found.species == ("c", "a") and found.threshold.tolist() == [0.5, 0.3]
    scores = np.random.default_rng(0).random((9, 3)).astype(np.float32)
    np.testing.assert_array_equal(found.calibration(scores[:, [2, 0]]), calibration(scores)[:, [2, 0]])
    with pytest.raises(CheckpointError, match=r"decisions\.json: its species are not those of the model"):
        own_decisions(str(tmp_path), ("a", "b", "d"), [0])


def test_frames_are_one_inside_events():
    frames = np.zeros((12, 2), np.float32)
    frames[2:5, 0], frames[3, 0], frames[7, 1] = 0.3, 0.6, 0.55
    chosen = decide(("a", "b"), threshold=[0.5, 0.6], median_s=0.0, min_duration_s=0.1)
    inside = decided_frames({4: frames}, chosen, FrameGrid(10, 1))[4]
    assert np.flatnonzero(inside[:, 0]).tolist() == [2, 3, 4] and not inside[:, 1].any()


def test_boxes_and_events_are_judged_as_decided_unless_a_threshold_is_given(make_reference, make_heard):
    reference = dataclasses.replace(make_reference(), sites=(None,) * 60, moments=(None,) * 60)
    heard = make_heard(reference, 1.0)
    calibration = ScoreMap(np.full(4, 2.0), np.full(4, 0.5))
    chosen = decide(reference.space.species_names, threshold=[0.3, 0.5, 0.4, 0.2], median_s=0.3, calibration=calibration, about={"criterion": "f2"})  # fmt: skip
    tuned = dataclasses.replace(heard, decisions=chosen)
    few = JudgingOptions(resamples=20)
    judged = [evaluate(reference, {"m": system}, few) for system in (heard, tuned)]
    plain, found = (found.overall["m"].values for found in judged)
    overridden = evaluate(reference, {"m": tuned}, JudgingOptions(0.5, resamples=20)).overall["m"].values
    assert [plain[key] == overridden[key] for key in ("box_f1", "event_f1", "segment_f1", "f1", "threshold")] == [
        True
    ] * 5

    boxes = [box for own in heard.boxes for box in own]
    species, present = np.array([box.species_id for box in boxes]), np.array([box.present for box in boxes])
    mapped = calibration(np.repeat(heard.box_scores[:, None], 4, axis=1))[np.arange(len(boxes)), species]
    assert found["box_f1"] == pytest.approx(f1_score(present, mapped >= chosen.threshold[species]))
    assert found["box_auc"] == pytest.approx(plain["box_auc"]) and np.isnan(found["box_threshold"])
    assert found["f1"] == plain["f1"] and found["threshold"] == 0.5  # whole recordings: no decisions are about them
    inside = decided_frames(heard.frames, chosen, heard.grid)
    calls = [[(c.start_s, c.end_s, c.species_id) for c in own] for own in reference.calls]
    expected = event_metrics([inside[row] for row in range(60)], calls, [4.0] * 60, 0.1)
    assert found["event_f1"] == pytest.approx(expected.event_f1.macro)
    assert found["segment_f1"] == pytest.approx(expected.segment_f1.macro) != plain["segment_f1"]
    assert found["psds"] == plain["psds"] and found["event_f1_best"] == plain["event_f1_best"]
    assert any("by its own decisions (criterion f2)" in note for note in judged[1].notes)
