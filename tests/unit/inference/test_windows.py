"""Windowed prediction: every frame once, overlaps merged, blocks make no difference."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.windows import predict_recording, predict_stream
from rfcx_ssl.models.outputs import SedOutput, merge_outputs
from rfcx_ssl.species import LabelSpace, rfcx_label_space

HOP = 10


class MeanModel(torch.nn.Module):
    """Frame logit = first sample of the frame; clip logit = sum of the window, so results can be written down."""

    class config:
        window_samples = 60

    def __init__(self):
        super().__init__()
        self.grid = FrameGrid(100, HOP)
        self.space = LabelSpace(("a",), ("a",), (0,), (None,))
        self.device = torch.device("cpu")
        self.eval()

    def forward(self, waveform):
        pad = -waveform.shape[1] % HOP
        rows = torch.nn.functional.pad(waveform, (0, pad)).unflatten(1, (-1, HOP))
        clip = waveform.sum(1, keepdim=True) / 100
        noise = 0.1 * clip[:, :, None]  # frames depend on their window, so merging matters
        return SedOutput(frame_logits=rows[:, :, :1] + noise, clip_logits=clip, embedding=clip)


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _reference(x, window, step, aggregate):
    """Windows written out one by one in numpy."""
    frames = -(-len(x) // HOP)
    starts = [0]
    if len(x) > window:
        starts = [*range(0, len(x) - window, step), -(-(len(x) - window) // HOP) * HOP]
    seen, clips = [[] for _ in range(frames)], []
    for start in dict.fromkeys(starts):
        piece = x[start : start + window]
        clip = piece.sum() / 100
        clips.append(_sigmoid(clip))
        for k in range(-(-len(piece) // HOP)):
            seen[start // HOP + k].append(_sigmoid(piece[k * HOP] + 0.1 * clip))
    merge = max if aggregate == "max" else np.mean
    return np.array([merge(values) for values in seen]), merge(clips)


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 400), st.integers(1, 6), st.sampled_from(["max", "mean"]), st.integers(1, 5), st.integers(1, 130)
)
def test_windows_match_a_plain_loop_however_the_blocks_are_cut(num_samples, step_frames, aggregate, batch, block):
    x = torch.randn(num_samples, generator=torch.Generator().manual_seed(num_samples))
    options = {"hop_samples": step_frames * HOP, "aggregate": aggregate, "batch_size": batch}
    whole = predict_recording(MeanModel(), x, **options)
    frame, clip = _reference(x.double().numpy(), 60, step_frames * HOP, aggregate)
    assert whole.frame.shape == (-(-num_samples // HOP), 1)
    np.testing.assert_allclose(whole.frame[:, 0].numpy(), frame, rtol=1e-4)
    np.testing.assert_allclose(whole.clip.numpy(), [clip], rtol=1e-4)
    pieces = list(predict_stream(MeanModel(), iter(x.split(block)), **options))
    torch.testing.assert_close(torch.cat([piece.frame for piece in pieces]), whole.frame)
    torch.testing.assert_close(pieces[-1].clip, whole.clip)
    assert [p.first_frame for p in pieces] == np.cumsum([0, *[len(p.frame) for p in pieces]])[:-1].tolist()


def test_a_stream_gives_frames_while_it_comes():
    given_blocks = 0

    def blocks():
        nonlocal given_blocks
        for _ in range(100):
            given_blocks += 1
            yield torch.randn(60)

    first = next(predict_stream(MeanModel(), blocks(), hop_samples=60, batch_size=2))
    assert len(first.frame) > 0
    assert given_blocks < 10


def test_real_models_answer_on_the_recordings_grid(tiny, tiny_name):
    model = tiny(tiny_name)
    scores = predict_recording(model, 0.1 * torch.randn(20_001), batch_size=2)
    assert scores.frame.shape == (model.grid.num_frames(20_001), 24)
    assert scores.clip.shape == (24,)
    assert ((scores.frame >= 0) & (scores.frame <= 1)).all()


def test_outputs_of_one_species_are_merged_by_max_and_noise_dropped():
    space = rfcx_label_space(split_songtypes=True, noise_class=True)
    values = torch.rand(2, 5, space.num_outputs)
    merged = merge_outputs(values, space)
    assert merged.shape == (2, 5, 24)
    for species in range(24):
        outputs = [k for k, s in enumerate(space.output_species) if s == species]
        torch.testing.assert_close(merged[..., species], values[..., outputs].amax(-1))


@pytest.mark.parametrize(
    ("options", "message"), [({"hop_samples": 100}, "longer than the window"), ({"train": True}, "evaluation mode")]
)
def test_misuse_is_named(options, message):
    model = MeanModel().train(options.pop("train", False))
    with pytest.raises(ConfigError, match=message):
        predict_recording(model, torch.randn(500), **options)


def test_an_empty_recording_is_an_error():
    with pytest.raises(ConfigError, match="no samples"):
        predict_recording(MeanModel(), torch.zeros(0))
