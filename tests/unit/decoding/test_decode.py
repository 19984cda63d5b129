"""The choice of a decoder."""

import numpy as np
import pytest

from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import make_decoder
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
