"""The score of a recording, streaming, against all frames at once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from rfcx_ssl.decoding.recording_score import HighestFrames, RecordingScore, num_frames_of_top, score_of_highest
from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.frames import FrameGrid

GRID = FrameGrid(1000, 20)  # 20 ms frames


def score(kind, frames, clips, cuts=(), top_s=0.1):
    running = RecordingScore(DecodeSettings(recording_score=kind, top_s=top_s), GRID)
    blocks = np.split(frames, sorted(cuts))
    for block, clip in zip(blocks, clips[-len(blocks) :], strict=True):
        running.push(block, clip)
    return running


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
    top_s=st.sampled_from([0.001, 0.1, 10.0]),
)
def test_any_blocks_give_the_score_of_the_whole(seed, length, cuts, top_s):
    rng = np.random.default_rng(seed)
    frames, clips = rng.random((length, 3), dtype=np.float32), rng.random((6, 3), dtype=np.float32)
    cuts = [min(cut, length) for cut in cuts]
    assert_array_equal(score("clip", frames, clips, cuts).value, clips[-1])
    assert_array_equal(score("max", frames, clips, cuts).value, frames.max(axis=0))
    most = max(round(top_s / 0.02), 1)
    means = [np.mean(sorted(column, reverse=True)[:most]) for column in frames.T]
    top = score("top", frames, clips, cuts, top_s)
    assert_allclose(top.value, means, rtol=1e-6)
    assert_array_equal(top.value, score("top", frames, clips, (), top_s).value)
    assert len(top._top) <= most


@settings(deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 40),
    kind=st.sampled_from(["max", "top"]),
    top_s=st.sampled_from([0.001, 0.1, 0.4]),
)
def test_a_rule_may_come_after_only_the_highest_frames_were_kept(seed, length, kind, top_s):
    rng = np.random.default_rng(seed)
    frames = rng.random((length, 3), dtype=np.float32)
    kept = HighestFrames(num_frames_of_top(0.5, GRID))
    for block in np.array_split(frames, 3):
        kept.push(block)
    assert len(kept) == min(length, 25)

    def rule(scores):
        return np.sqrt(scores.round(1))  # flat in places

    after = score_of_highest(rule(kept.values), DecodeSettings(recording_score=kind, top_s=top_s), GRID)
    assert_array_equal(after, score(kind, rule(frames), rng.random((6, 3), dtype=np.float32), top_s=top_s).value)


def test_nothing_has_no_score():
    with pytest.raises(ValueError, match="without frames"):
        _ = RecordingScore(DecodeSettings(), GRID).value
