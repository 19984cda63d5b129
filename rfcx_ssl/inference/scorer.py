"""What hears one window: a model behind one door, whatever runs it (torch, ONNX Runtime)."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED, Windows, windows_in_force
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.outputs import merge_outputs
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

    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N), float32 in [-1, 1] on the CPU."""


class TorchScorer:
    """A loaded model on its device."""

    def __init__(self, model: RainforestSedModel, name: str, windows: WindowSettings = AS_VALIDATED) -> None:
        self.model, self.name = model, name
        self.grid = model.grid
        self.windows = windows_in_force(model, windows)
        self.species = model.space.species
        self.embedding_dim = model.embedding_dim

    @torch.inference_mode()
    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N)."""
        output = self.model(waveform.to(self.model.device, torch.float32))
        frame = merge_outputs(output.frame_logits.float().sigmoid(), self.model.space)
        clip = merge_outputs(output.clip_logits.float().sigmoid(), self.model.space)
        return WindowScores(frame.cpu(), clip.cpu(), output.embedding.float().cpu())
