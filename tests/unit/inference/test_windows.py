"""Windowed prediction: every frame once, overlaps merged, blocks make no difference."""

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, RecordingStream, ScoreError
from rfcx_ssl.inference.predict import predict_recording, predict_stream
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import Windows, windows_in_force
from rfcx_ssl.models.outputs import SedOutput, merge_outputs
from rfcx_ssl.species import LabelSpace, SpeciesTable, label_space, rfcx_species

HOP = 10


class MeanModel(torch.nn.Module):
    """Frame logit = first sample of the frame; clip logit = sum of the window, so results can be written down."""

    class config:
        window_samples = 60
        windows = None
        train_prevalence = scaled_prevalence = None

    def __init__(self):
        super().__init__()
        self.grid = FrameGrid(100, HOP)
        self.space = LabelSpace(SpeciesTable.of_names(("a",)), ("a",), (0,), (None,))
        self.embedding_dim = 1
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
    st.integers(2, 400), st.integers(1, 6), st.sampled_from(["max", "mean"]), st.integers(1, 5), st.integers(1, 130)
)
def test_windows_match_a_plain_loop_however_the_blocks_are_cut(num_samples, step_frames, aggregate, batch, block):
    x = torch.randn(num_samples, generator=torch.Generator().manual_seed(num_samples))
    windows = WindowSettings(overlap=1 - step_frames * HOP / 60, aggregate=aggregate)
    whole = predict_recording(MeanModel(), x, windows, batch_size=batch)
    frame, clip = _reference(x.double().numpy(), 60, step_frames * HOP, aggregate)
    assert whole.frame.shape == (-(-num_samples // HOP), 1)
    np.testing.assert_allclose(whole.frame[:, 0].numpy(), frame, rtol=1e-4)
    np.testing.assert_allclose(whole.clip.numpy(), [clip], rtol=1e-4)
    pieces = list(predict_stream(MeanModel(), iter(x.split(block)), windows, batch_size=batch))
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

    first = next(predict_stream(MeanModel(), blocks(), WindowSettings(overlap=0.0), batch_size=2))
    assert len(first.frame) > 0
    assert given_blocks < 10


def test_real_models_answer_on_the_recordings_grid(tiny, tiny_name):
    model = tiny(tiny_name)
    scores = predict_recording(model, 0.1 * torch.randn(20_001), batch_size=2)
    assert scores.frame.shape == (model.grid.num_frames(20_001), 24)
    assert scores.clip.shape == (24,)
    assert ((scores.frame >= 0) & (scores.frame <= 1)).all()


def test_outputs_of_one_species_are_merged_by_max_and_noise_dropped():
    space = label_space(rfcx_species(), split_songtypes=True, noise_class=True)
    values = torch.rand(2, 5, space.num_outputs)
    merged = merge_outputs(values, space)
    assert merged.shape == (2, 5, 24)
    for species in range(24):
        outputs = [k for k, s in enumerate(space.output_species) if s == species]
        torch.testing.assert_close(merged[..., species], values[..., outputs].amax(-1))


def test_a_model_in_training_mode_is_refused():
    with pytest.raises(ConfigError, match="evaluation mode"):
        predict_recording(MeanModel().train(), torch.randn(500))


def test_a_model_hears_as_it_was_validated_unless_told_otherwise():
    model, x = MeanModel(), torch.randn(500)
    assert windows_in_force(model) == (0.6, 0.5, "max")  # of a model that was never validated
    validated = {"window_s": 0.4, "overlap": 0.25, "aggregate": "mean"}
    model.config = type("config", (MeanModel.config,), {"windows": validated})
    assert windows_in_force(model)._asdict() == validated
    expected = predict_recording(MeanModel(), x, WindowSettings(**validated))
    torch.testing.assert_close(predict_recording(model, x), expected, rtol=0, atol=0)
    assert windows_in_force(model, WindowSettings(overlap=0.0)) == (0.4, 0.0, "mean")
    model.config.windows = {"overlap": 2}
    with pytest.raises(ConfigError, match=r"config.json: windows: overlap=2 must be in \[0, 1\)"):
        windows_in_force(model)


@given(rate=st.sampled_from([8_000, 22_050, 32_000]), hop=st.integers(1, 700), samples=st.integers(1, 200_000))
def test_windows_in_seconds_and_in_samples_are_the_same(rate, hop, samples):
    grid = FrameGrid(rate, hop)
    window, step = Windows(samples / rate, 0.5, "max").on_grid(grid)
    assert window == grid.num_frames(samples) * hop and window % hop == 0 and step % hop == 0
    assert hop <= step <= max(hop, round(samples / 2))


def test_scores_that_are_not_numbers_are_an_error_of_their_recording_alone():
    batches = Batches(TorchScorer(MeanModel(), "mean"), 4)
    streams = [RecordingStream(batches, name=name) for name in ("good", "bad")]
    samples = torch.randn(200, generator=torch.Generator().manual_seed(0))
    for stream, audio in zip(
        streams, (samples, samples.clone().index_fill(0, torch.tensor([90]), np.nan)), strict=True
    ):
        stream.push(audio)
        stream.end()
    batches.flush()
    assert torch.equal(streams[0].ready().frame, predict_recording(MeanModel(), samples).frame)
    with pytest.raises(ScoreError, match="bad: model mean gives scores that are not numbers"):
        streams[1].ready()


def test_an_empty_recording_is_an_error():
    with pytest.raises(ConfigError, match="no samples"):
        predict_recording(MeanModel(), torch.zeros(0))
