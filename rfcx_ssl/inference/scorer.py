"""What hears windows: a model behind one door, whatever runs it (torch here, ONNX Runtime in ``onnx_scorer``)."""

from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.quick import quick_copy
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED, Windows, windows_in_force
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.outputs import SedOutput, merge_outputs
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.species.table import SpeciesTable


class WindowScores(NamedTuple):
    """What is said about B windows of T frames: float32 on the CPU."""

    frame: Tensor  # (B, T, S) probabilities of the species, outputs of one species merged by max, noise left out
    clip: Tensor  # (B, S)
    embedding: Tensor  # (B, D)


class Scorer(Protocol):
    """Scores windows. Every (B, N) is answered with exactly ``grid.num_frames(N)`` frames; rows do not see each other."""

    name: str  # what the user called the model
    grid: FrameGrid  # of the answers; its rate is the one the audio is read at
    windows: Windows  # how recordings are cut, and put together again
    species: SpeciesTable
    embedding_dim: int
    device: torch.device  # where it runs
    train_prevalence: NDArray[np.float64] | None  # (S,) of its training crops, NaN where unknown; None: nobody says
    scaled_prevalence: str | None  # what the pseudo-labels that it learned from were scaled to, if they were

    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N), float32 in [-1, 1] on the CPU."""


class TorchScorer:
    """A loaded model on its device.

    ``autocast`` is the type of matrix products and convolutions, None leaves float32 alone. ``compile`` runs the network
    through ``torch.compile``, ``quick`` runs :func:`quick_copy` of it as it is now. Frames whose activity probability is
    below ``activity_gate`` score 0.
    """

    def __init__(
        self,
        model: RainforestSedModel,
        name: str,
        windows: WindowSettings = AS_VALIDATED,
        *,
        autocast: torch.dtype | None = None,
        compile: bool = False,
        quick: bool = False,
        activity_gate: float | None = None,
    ) -> None:
        self.model, self.name = model, name
        self.grid = model.grid
        self.windows = windows_in_force(model, windows)
        self.species = model.space.species
        self.embedding_dim = model.embedding_dim
        self.device = model.device
        trained = model.config.train_prevalence
        self.train_prevalence = None if trained is None else np.array(trained, np.float64)
        self.scaled_prevalence: str | None = model.config.scaled_prevalence
        if activity_gate is not None:
            check_activity_gate(activity_gate, name, model.head.activity is not None)
        self._gate, self._autocast = activity_gate, autocast
        network = quick_copy(model) if quick else model
        self._network = torch.compile(network) if compile else network

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N)."""
        with torch.autocast(self.device.type, self._autocast, enabled=self._autocast is not None):
            output = self._network(waveform.to(self.device, torch.float32))
        return window_scores(output, self.model.space, self._gate)


def window_scores(output: SedOutput, space: LabelSpace, activity_gate: float | None = None) -> WindowScores:
    """What a model's output says of the species of its label space; the gate needs ``activity_logits``."""
    assert output.frame_logits is not None and output.clip_logits is not None and output.embedding is not None
    frame = merge_outputs(output.frame_logits.float().sigmoid(), space)
    clip = merge_outputs(output.clip_logits.float().sigmoid(), space)
    if activity_gate is not None:
        assert output.activity_logits is not None
        frame = frame * (output.activity_logits.float().sigmoid() >= activity_gate)[:, :, None]
    return WindowScores(frame.cpu(), clip.cpu(), output.embedding.float().cpu())


def check_activity_gate(gate: float, name: str, has_head: bool) -> None:
    """Refuse a gate that cannot work: ``ConfigError`` says why."""
    if not 0 < gate <= 1:
        raise ConfigError(f"activity_gate={gate} must be in (0, 1]; null gates nothing")
    if not has_head:
        raise ConfigError(f"activity_gate={gate}: model {name} has no activity head (model.head.activity) to ask")
