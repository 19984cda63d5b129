"""Decisions per species: which are in force, and what the file of a stranger may say."""

import json

import numpy as np
import pytest

from rfcx_ssl.config import load_settings
from rfcx_ssl.decoding.decisions import decide, decisions_in_force
from rfcx_ssl.decoding.decisions_file import model_decisions, read_decisions, to_plain, write_decisions
from rfcx_ssl.decoding.score_map import Knots, ScoreMap
from rfcx_ssl.decoding.settings import PARAMETERS, USED_BY, DecodeSettings
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import CheckpointError, ConfigError

NAMES = ("Coqui", "Wren", "Parrot")


@pytest.fixture
def tuned():
    return decide(
        NAMES,
        threshold=[0.3, 0.6, 0.9],
        low_threshold=[0.1, 0.5, 0.9],
        median_s=[0.0, 0.1, 1 / 3],
        calibration=ScoreMap([1.0, 0.5, 2.0], [0.0, -1.0, 0.1], {2: Knots([0.1, 0.7], [0.0, 1.0])}),
        about={"criterion": "f1", "recordings": 12},
    )


def test_defaults_are_those_of_the_shipped_file():
    settings = load_settings(DetectSettings, "inference", "detect")
    default = decisions_in_force(None, settings, NAMES)
    assert default.decoder == "hysteresis" and default.calibration.is_identity
    for key, parameter in PARAMETERS.items():
        expected = 0.25 if key == "low_threshold" else parameter.default
        assert getattr(default, key).tolist() == [expected] * 3


def test_what_is_set_wins_over_what_was_tuned(tuned):
    kept = decisions_in_force(tuned, DecodeSettings(), NAMES)
    assert to_plain(kept) == to_plain(tuned)
    changed = decisions_in_force(tuned, DecodeSettings(median_s=0.4, merge_gap_s=1.0), NAMES)
    assert changed.median_s.tolist() == [0.4] * 3 and changed.merge_gap_s.tolist() == [1.0] * 3
    assert changed.threshold.tolist() == [0.3, 0.6, 0.9] and changed.low_threshold.tolist() == [0.1, 0.5, 0.9]
    assert changed.calibration is tuned.calibration and changed.about == tuned.about


def test_a_threshold_brings_its_lower_one(tuned):
    assert decisions_in_force(tuned, DecodeSettings(threshold=0.4), NAMES).low_threshold.tolist() == [0.2] * 3
    both = decisions_in_force(tuned, DecodeSettings(threshold=0.4, low_threshold=0.3), NAMES)
    assert both.low_threshold.tolist() == [0.3] * 3


def test_another_decoder_keeps_the_calibration_alone(tuned):
    other = decisions_in_force(tuned, DecodeSettings(decoder="change_point"), NAMES)
    assert other.threshold.tolist() == [0.5] * 3 and other.calibration is tuned.calibration


def test_decisions_can_be_left_alone(tuned):
    assert to_plain(decisions_in_force(tuned, DecodeSettings(tuned=False), NAMES)) == to_plain(decide(NAMES))


@pytest.mark.parametrize(
    ("settings", "names", "message"),
    [
        (
            DecodeSettings(low_threshold=0.6),
            NAMES,
            "low_threshold=0.6 of Coqui must be no higher than its threshold=0.3",
        ),
        (DecodeSettings(merge_relative=3.0), NAMES, "merge_relative=3.0: decoder=hysteresis does not use it"),
        (DecodeSettings(), ("Coqui", "Wren", "Owl"), "of other species: of Parrot; not of Owl"),
        (DecodeSettings(), NAMES[::-1], "the same ones in another order"),
    ],
)
def test_what_does_not_go_together_is_named(tuned, settings, names, message):
    with pytest.raises(ConfigError, match=message):
        decisions_in_force(tuned, settings, names)


@pytest.mark.parametrize("decoder", USED_BY)
def test_a_file_is_read_back_as_it_was_written(tmp_path, tuned, decoder):
    decisions = decide(
        NAMES, decoder=decoder, threshold=tuned.threshold, calibration=tuned.calibration, about=tuned.about
    )
    write_decisions(tmp_path / "decisions.json", decisions)
    again = model_decisions(str(tmp_path))
    assert again.species == NAMES and again.about == {"criterion": "f1", "recordings": 12}
    for key in PARAMETERS:
        np.testing.assert_array_equal(getattr(again, key), getattr(decisions, key))
    scores = np.random.default_rng(0).random((50, 3), dtype=np.float32)
    np.testing.assert_array_equal(again.calibration(scores), decisions.calibration(scores))


def test_a_model_may_have_none(tmp_path):
    assert model_decisions(str(tmp_path)) is None


def damage(plain, keys, value):
    *parents, last = keys
    for key in parents:
        plain = plain[key]
    if value is None:
        del plain[last]
    else:
        plain[last] = value


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["format"], 2, "format must be 1"),
        (["decoder"], "hysteresys", "decoder='hysteresys' must be one of"),
        (["decoder"], ["hysteresis"], "decoder=.* must be one of"),
        (["treshold"], [], "treshold: unknown key, did you mean 'threshold'"),
        (["step_filter_s"], [1.0] * 3, "step_filter_s: unknown key"),
        (["median_s"], None, "median_s: missing"),
        (["species"], "Coqui", "species must be a list of names"),
        (["species"], ["Coqui", "Parrot", "Parrot"], "species must be names, each once"),
        (["threshold"], [0.3, 0.6], r"threshold must have one value for each of 3 species, got shape \(2,\)"),
        (["threshold"], [0.3, 0.6, 1.5], r"threshold=1.5 of Parrot must be in \(0, 1\]"),
        (["threshold"], [0.3, "0.6", 1.0], "threshold must be a list of numbers"),
        (["threshold"], [0.3, True, 1.0], "threshold must be a list of numbers"),
        (["threshold", 1], float("nan"), r"cannot be read as decisions \(NaN is no number"),
        (["median_s", 0], 10**400, "median_s: a number is too large"),
        (["low_threshold"], [0.1, 0.7, 0.9], "low_threshold=0.7 of Wren must be no higher than its threshold=0.6"),
        (["about"], [], "about must be a mapping"),
        (["calibration", "slope"], [1, 0, 1], "calibration: slope must be finite and above 0"),
        (["calibration", "slope"], [1, 1], "calibration: slope and offset must have one value per species"),
        (["calibration", "knots", "Owl"], {}, "calibration.knots.Owl: not among the species"),
        (["calibration", "knots", "Parrot", "scores"], [0.7, 0.1], "calibration.knots.Parrot: scores must increase"),
        (["calibration", "knots", "Parrot", "probabilities"], [0.7, 0.1], "Parrot: probabilities must not decrease"),
        (["calibration", "knots", "Parrot", "scores"], [0.7], "Parrot: 1 scores and 2 probabilities"),
        (["calibration"], [], "calibration must be a mapping"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, tuned, keys, value, message):
    path = tmp_path / "decisions.json"
    plain = to_plain(tuned)
    damage(plain, keys, value)
    path.write_text(json.dumps(plain))
    with pytest.raises(CheckpointError, match=message) as caught:
        read_decisions(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "[", "[" * 100_000, "1e999", '{"format": ' + "1" * 5000 + "}", "\xff"])
def test_a_file_that_is_no_json_is_refused(tmp_path, text):
    path = tmp_path / "decisions.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"decisions\.json"):
        read_decisions(path)


def test_a_giant_file_is_not_even_read(tmp_path):
    path = tmp_path / "decisions.json"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(CheckpointError, match="larger than 64 MiB"):
        read_decisions(path)
