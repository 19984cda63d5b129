"""Score recordings of any length by overlapping windows, merged on the model's frame grid.

The recording may arrive in blocks; memory depends on the window and the batch, not on the recording.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.batches import Batches, RecordingStream, ScoredFrames
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED
from rfcx_ssl.models.modeling import RainforestSedModel


class WindowedScores(NamedTuple):
    """Probabilities per species of one recording, float32 on the CPU."""

    frame: Tensor  # (T, S) on the recording's frame grid
    clip: Tensor  # (S,) over all windows


def predict_recording(
    model: RainforestSedModel, waveform: Tensor, windows: WindowSettings = AS_VALIDATED, *, batch_size: int = 8
) -> WindowedScores:
    """Score a whole recording.

    Args:
        model: in evaluation mode; inference runs on its device.
        waveform: (N,) mono at ``model.config.sample_rate_hz``.
        windows: as the model was validated by default; see :func:`windows_in_force`.
        batch_size: windows per forward pass.

    Returns:
        Frame probabilities (``model.grid.num_frames(N)``, S) and clip probabilities (S,), outputs of one species
        merged by max and noise left out.
    """
    pieces = list(predict_stream(model, [waveform], windows, batch_size=batch_size))
    return WindowedScores(torch.cat([piece.frame for piece in pieces]), pieces[-1].clip)


def predict_stream(
    model: RainforestSedModel,
    blocks: Iterable[Tensor],
    windows: WindowSettings = AS_VALIDATED,
    *,
    batch_size: int = 8,
) -> Iterator[ScoredFrames]:
    """As :func:`predict_recording`, for a recording that arrives in blocks (n,) and leaves in finished pieces."""
    if model.training:
        raise ConfigError("predict with the model in evaluation mode: call model.eval() first")
    batches = Batches(TorchScorer(model, "", windows), batch_size)
    stream = RecordingStream(batches)
    for block in blocks:
        stream.push(block)
        if piece := stream.ready():
            yield piece
    stream.end()
    batches.flush()
    last = stream.ready()
    if last is None:
        raise ConfigError("the recording has no samples")
    yield last
