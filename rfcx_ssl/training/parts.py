"""What a run is made of, already built: the loop knows models, losses and data only through these."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Generator, nn

from rfcx_ssl.labels import Batch
from rfcx_ssl.training.sampler import EpochDataset
from rfcx_ssl.training.update import LossFunction

FloatArray = NDArray[np.float32]


class RecordingScores(NamedTuple):
    """Probabilities of one recording: per frame (T, S) and of the whole (S,)."""

    frame: FloatArray
    clip: FloatArray


class FrameLabels(NamedTuple):
    """Labels of one recording on the model's frames, per species."""

    target: FloatArray  # (T, S)
    known: FloatArray  # (T, S)


@dataclass(frozen=True)
class Validation:
    """R recordings that are scored whole, and what is known about them."""

    recording_ids: tuple[str, ...]
    truth: NDArray[np.bool_]  # (R, S)
    known: NDArray[np.bool_]  # (R, S)
    prevalence: FloatArray  # (S,) share of present among the known cells of the training part
    species_names: tuple[str, ...]
    read: Callable[[str], FloatArray]  # recording id -> waveform (N,)
    predict: Callable[[nn.Module, FloatArray], RecordingScores]  # as inference does
    frame_labels: Callable[[str], FrameLabels]
    sample_rate_hz: int
    frame_s: float

    def first(self, count: int | None) -> "Validation":
        """The same with at most ``count`` recordings, spread evenly over all."""
        total = len(self.recording_ids)
        if count is None or count >= total:
            return self
        rows = np.linspace(0, total - 1, count).round().astype(int)
        kept = tuple(self.recording_ids[row] for row in rows)
        return replace(self, recording_ids=kept, truth=self.truth[rows], known=self.known[rows])


@dataclass(frozen=True)
class Parts:
    """A model to train, on what, towards what."""

    model: nn.Module  # waveform (B, N) -> output; with ``save_pretrained(folder, state_dict=...)``
    loss: LossFunction
    augment: Callable[[Batch, Generator], Batch] | None
    train_set: EpochDataset
    collate: Callable[[Any], Batch]
    sample_rate_hz: int
    validation: Validation | None
    data_facts: Mapping[str, Any] = field(default_factory=dict)  # must not change between sessions of a run
    fold: int | None = None
