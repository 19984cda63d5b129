"""What every encoder is: waveform in, an exact number of frames out."""

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn

from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.head import HeadSettings
from rfcx_ssl.models.temporal import TemporalSettings
from rfcx_ssl.settings import settings


@settings
class SedSettings(ABC):
    """What all models share; each encoder's settings extend it, under a ``kind`` of their own.

    A new encoder is one file with its settings and its :class:`Encoder`, and one line in
    :mod:`rfcx_ssl.models.registry`.
    """

    kind: str
    window_s: float | None = 5.0  # of an inference window; None: as long as the training crops
    frame_pool: int = 1  # encoder frames per output frame: average and maximum over them, concatenated
    temporal: TemporalSettings | None = None
    head: HeadSettings = HeadSettings()

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if (self.window_s is not None and self.window_s <= 0) or self.frame_pool < 1:
            raise ValueError(f"need window_s > 0 and frame_pool >= 1, got {self.window_s} and {self.frame_pool}")

    @abstractmethod
    def config_values(self) -> dict[str, Any]:
        """What the model's config must say of this encoder before any weight exists: ``sample_rate_hz`` at least.

        Keys are fields of :class:`RainforestSedConfig`.

        Raises:
            CheckpointError: a directory that the settings name does not say what is needed.
        """

    @abstractmethod
    def make_encoder(self, config: RainforestSedConfig) -> "Encoder":
        """The encoder with random weights, from these settings and what ``config`` says of it."""


class Encoder(nn.Module):
    """Base of every encoder; frame k is centered on samples ``[k * hop_samples, (k + 1) * hop_samples)``."""

    sample_rate_hz: int
    hop_samples: int
    dim: int
    num_depths: int  # distinct values of ``depth``

    def load_pretrained(self) -> None:
        """Load the weights that the settings name; an encoder without any keeps its random ones.

        Raises:
            CheckpointError: there are none, or they do not fit.
        """

    @abstractmethod
    def forward(self, waveform: Tensor, num_frames: int, valid: "ValidLengths | None" = None) -> Tensor:
        """Waveform (B, N) -> exactly ``num_frames`` frames (B, num_frames, D); N <= num_frames * hop_samples."""

    def is_used(self, name: str) -> bool:
        """Whether a parameter takes part in the forward pass; those that do not stay frozen (DDP needs that)."""
        return True

    def on_freeze(self, depth: int) -> None:
        """Told that layers below ``depth`` are frozen now; for backbones that keep a flag of their own."""

    @abstractmethod
    def depth(self, name: str) -> int:
        """Depth of a parameter of this encoder, 0 at the waveform, ``num_depths - 1`` at the output."""


class ValidLengths:
    """How much of each padded clip is real: (B,) samples and (B,) encoder frames."""

    def __init__(self, samples: Tensor, frames: Tensor) -> None:
        self.samples = samples
        self.frames = frames


def inside(lengths: Tensor, size: int) -> Tensor:
    """(B,) lengths -> (B, size) mask, true inside."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


def fit_frames(features: Tensor, num_frames: int) -> Tensor:
    """Cut (B, T, D) to ``num_frames`` frames, or repeat the last frame; without a branch, so that any length exports."""
    place = torch.arange(num_frames, device=features.device)
    return features[:, place.clamp(max=features.shape[1] - 1)]


def pool_frames(features: Tensor, frame_pool: int) -> Tensor:
    """(B, T * frame_pool, D) -> (B, T, 2 D): average and maximum of each group; unchanged for ``frame_pool`` 1."""
    if frame_pool == 1:
        return features
    groups = features.reshape(features.shape[0], -1, frame_pool, features.shape[2])
    return torch.cat([groups.mean(dim=2), groups.amax(dim=2)], dim=-1)
