"""The choice of a decoder."""

import numpy as np
import pytest

from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import RecordingDecoder, make_decoder
from rfcx_ssl.decoding.frame_events import in_order
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(1000, 20)


@pytest.mark.parametrize(("decoder", "score"), [("hysteresis", 0.9), ("change_point", 0.8)])
def test_decisions_choose_the_decoder(decoder, score):
    frames = np.array([[0.0]] * 30 + [[0.7], [0.8], [0.9]] * 10 + [[0.0]] * 30, np.float32)
    chosen = make_decoder(decide(["a"], decoder=decoder, **({"median_s": 0} if score == 0.9 else {})), GRID)
    (event,) = chosen.push(frames) + chosen.finish()
    assert (event.start, event.end, event.score) == (30, 60, pytest.approx(score))  # the peak, or the mean


@pytest.mark.parametrize("decoder", ["hysteresis", "change_point"])
def test_nothing_in_nothing_out(decoder):
    for blocks in ([], [np.zeros((0, 2), np.float32)], [np.zeros((40, 2), np.float32)] * 2):
        chosen = make_decoder(decide("ab", decoder=decoder), GRID)
        assert [event for block in blocks for event in chosen.push(block)] + chosen.finish() == []


def test_a_recording_is_mapped_decoded_and_scored():
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.random((40, 2), dtype=np.float32), 8, axis=0)
    clips = rng.random((3, 2), dtype=np.float32)
    settings = DecodeSettings(recording_score="top", top_s=0.5)
    decisions = decide("ab", threshold=[0.4, 0.7], calibration=ScoreMap([0.5, 2.0], [1.0, -1.0]))
    shifted = decisions.calibration.shifted([-1.0, 0.5])
    for score_map in (None, shifted):
        whole = RecordingDecoder(decisions, settings, GRID, score_map)
        mapped = np.concatenate(
            [whole.push(*piece) for piece in zip(np.split(frames, [100, 200]), clips, strict=True)]
        )
        np.testing.assert_array_equal(mapped, (score_map or decisions.calibration)(frames))
        plain = make_decoder(decisions, GRID)
        assert in_order(whole.finish()) == in_order(plain.push(mapped) + plain.finish()) != []
        np.testing.assert_allclose(whole.score, np.sort(mapped, axis=0)[-25:].mean(axis=0), rtol=1e-6)
