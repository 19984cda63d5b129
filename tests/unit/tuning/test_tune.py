"""Decisions from evidence whose answers are known; refusals where there is none."""

import dataclasses
import json

import numpy as np
import pytest

from rfcx_ssl.decoding.change_point import ChangePointDecoder
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decisions_file import from_plain, to_plain
from rfcx_ssl.decoding.hysteresis import EventDecoder
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.tuning.criterion import read_criterion
from rfcx_ssl.tuning.evidence import Timed
from rfcx_ssl.tuning.tune import TuneOptions, choose_kind, tune

F1 = TuneOptions(read_criterion("f1"))


def test_each_species_gets_the_threshold_between_its_states_and_a_rare_one_shares(boxes_of):
    evidence = boxes_of()
    tuned = tune(evidence, F1)
    assert tuned.kind == "boxes" and [row.own for row in tuned.species] == [True, True, False]
    assert tuned.shared == ["rare bird"]
    for row in tuned.species[:2]:
        assert row.decided.here.f1 == 1.0 and row.decided.crossed.f1 > 0.95
        assert (
            row.cells.scores[~row.cells.present].max()
            < row.choice["threshold"]
            <= row.cells.scores[row.cells.present].min()
        )
    low, high, rare = tuned.species
    assert low.untuned.f1 < 1.0 and high.untuned.f1 < 1.0 and (low.positives, low.negatives) == (40, 40)
    assert rare.choice == tuned.everyone.choice and rare.calibration is tuned.everyone.calibration
    assert tuned.mean("here") == pytest.approx(np.mean([row.decided.here.f1 for row in tuned.species]))


def test_decisions_make_the_events_of_the_uncalibrated_choice(boxes_of):
    tuned = tune(boxes_of(rare=40), F1)
    names = ("rare bird", "unheard of", "low frog", "high frog")
    decisions = tuned.decisions(names, {"why": "a test"})
    assert decisions.species == names and decisions.about == {"why": "a test"}
    assert not decisions.calibration.is_identity and (decisions.low_threshold < decisions.threshold).all()
    rows = {row.name: row for row in tuned.species} | {"unheard of": tuned.everyone}
    plain = decide(names, threshold=[rows[name].choice["threshold"] for name in names])
    frames = np.random.default_rng(0).random((3000, 4)).astype(np.float32)
    grid, found = FrameGrid(100, 5), []
    for chosen in (plain, decisions):
        decoder = EventDecoder(chosen, grid)
        events = [*decoder.push(chosen.calibration(frames)), *decoder.finish()]
        found.append([(event.start, event.end, event.species) for event in events])
    assert found[0] == found[1] and len(found[0]) > 50


def test_what_most_species_have_enough_of_judges(boxes_of):
    evidence = boxes_of()
    rng = np.random.default_rng(0)
    frames = {r: rng.random((40, 3)).astype(np.float32) for r in range(6)}
    calls = {r: [(0.5, 1.0, 0), (2.0, 2.5, 0)] for r in range(6)}
    timed = dataclasses.replace(evidence, timed=Timed(frames, calls, dict.fromkeys(frames, 4.0), FrameGrid(10, 1)))
    assert choose_kind(timed, F1) == "boxes"  # two species against one
    assert choose_kind(timed, TuneOptions(read_criterion("f1"), "calls")) == "calls"
    assert choose_kind(timed, TuneOptions(read_criterion("false-alarms=1"))) == "calls"
    tuned = tune(timed, TuneOptions(read_criterion("false-alarms=100"), "calls"))
    (own,) = (row for row in tuned.species if row.own)
    assert own.name == "low frog" and own.positives == 12 and own.hours == pytest.approx(24 / 3600)
    assert own.decided.here.false_per_hour <= 100


def test_change_points_are_chosen_for_each_species_on_calibrated_frames(boxes_of):
    """Bursts that are louder than calls ask for a shortest length, a flickering call for a filter that it is flat under."""
    grid, rng = FrameGrid(100, 5), np.random.default_rng(0)
    frames, calls = {}, {}
    for recording in range(10):
        scores = rng.uniform(0, 0.1, (200, 3)).astype(np.float32)
        scores[:, 0], scores[30:38, 0], scores[120:122, 0] = 0.0, 0.7, 0.9
        scores[60:100, 1] = np.tile([0.9, 0.1], 20)
        frames[recording], calls[recording] = scores, [(1.5, 1.9, 0), (3.0, 5.0, 1)]
    timed = Timed(frames, calls, dict.fromkeys(frames, 10.0), grid)
    evidence = dataclasses.replace(boxes_of(), timed=timed)
    tuned = tune(evidence, dataclasses.replace(F1, decoder="change_point"))
    bursts, flicker, _ = tuned.species
    assert tuned.kind == "calls" and bursts.choice["min_duration_s"] > 0.1 and flicker.choice["step_filter_s"] != 0.5
    for row in (bursts, flicker):
        assert row.own and row.decided.crossed.f1 == 1.0 and row.untuned.f1 < 1.0
    decisions = tuned.decisions(evidence.species, {})
    assert decisions.decoder == "change_point" and not decisions.calibration.is_identity
    kept = from_plain(json.loads(json.dumps(to_plain(decisions))))
    for key in ("threshold", "step_filter_s", "merge_absolute", "merge_relative", "min_duration_s"):
        chosen = [bursts.choice[key], flicker.choice[key], tuned.everyone.choice[key]]
        assert getattr(kept, key).tolist() == chosen
    decoder = ChangePointDecoder(kept, grid)
    found = [*decoder.push(kept.calibration(frames[0])), *decoder.finish()]
    (one,), (other,) = ([event for event in found if event.species == species] for species in (0, 1))
    assert (one.start, one.end) == (30, 38) and abs(other.start - 60) <= 2 and abs(other.end - 100) <= 2


def test_change_points_need_calls_with_times(boxes_of):
    for options in (
        TuneOptions(F1.criterion, decoder="change_point"),
        TuneOptions(F1.criterion, "boxes", decoder="change_point"),
    ):
        with pytest.raises(AnnotationError, match=r"--decoder change_point: .* there are none to judge by here"):
            tune(boxes_of(), options)


def test_false_alarms_need_hours_and_everything_needs_some_of_both_states(boxes_of):
    with pytest.raises(
        AnnotationError, match=r"false-alarms=1: false alarms by the hour need hours of complete recordings"
    ):
        tune(boxes_of(), TuneOptions(read_criterion("false-alarms=1")))
    with pytest.raises(
        AnnotationError, match=r"nothing can be tuned: it takes 5 of both .* 4 present boxes, 4 absent boxes"
    ):
        tune(boxes_of(count=1), F1)
    with pytest.raises(AnnotationError, match=r"nothing can be tuned: .* 0 present recordings, 0 recordings without"):
        tune(boxes_of(), TuneOptions(read_criterion("f1"), "recordings"))
    with pytest.raises(ConfigError, match="--min-positives 0: must be at least 1"):
        TuneOptions(read_criterion("f1"), min_positives=0)
