"""What the probe is asked, and what it finds."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.metrics.bootstrap import Interval
from rfcx_ssl.probing.health import CodebookUse, LayerHealth
from rfcx_ssl.probing.scores import Floors, Score

Role = Literal["encoder", "random weights", "log-mel"]
ALL = 0  # a budget that leaves no label out
FOLD = 0  # held out


@dataclass(frozen=True)
class ProbeRequest:
    """Encoders and the labelled recordings that judge them."""

    encoders: tuple[str, ...]
    data: Path
    out: Path
    overrides: tuple[str, ...] = ()  # data=NAME, data.key=value
    labels_per_species: tuple[int, ...] = (1, 3)
    device: str = "cpu"
    command: str = ""

    def __post_init__(self) -> None:
        if len(set(self.encoders)) < len(self.encoders):
            raise ConfigError("an encoder is named twice")
        if any(number < 1 for number in self.labels_per_species):
            raise ConfigError(f"--labels-per-species {min(self.labels_per_species)}: must be 1 or more")


@dataclass(frozen=True)
class Measured:
    """Everything about one system."""

    name: str
    role: Role
    score: Score
    box_auc: float  # mean over species; NaN where none has present and absent held-out boxes
    logits: NDArray[np.float32]  # (seeds, N, K) of the primary head
    steps: int  # of the primary head
    layer_names: tuple[str, ...]
    per_layer: tuple[float, ...]  # macro AP of the linear heads
    layer_weights: tuple[float, ...]  # of the primary head's mix, mean over seeds
    by_labels: Mapping[int, float]  # recordings per species -> macro AP; ALL for all
    health: tuple[LayerHealth, ...]


class Points(NamedTuple):
    """Calls of held-out recordings on a plane."""

    place: NDArray[np.float32]  # (n, 2)
    output: NDArray[np.int64]  # (n,)


@dataclass(frozen=True)
class Verdict:
    """One encoder beside its controls."""

    encoder: Measured
    source: str  # as it was named
    num_updates: int | None
    over_random: Interval
    over_mel: Interval
    sentence: str
    codebook: CodebookUse | None
    points: Points | None
    controls: tuple[str, str]  # names of the two rows


@dataclass(frozen=True)
class Bench:
    """The recordings that all systems of one sample rate and frame length are judged on."""

    frame_s: float
    sample_rate_hz: int
    train_recordings: int
    held_out_recordings: int
    held_out_frames: int
    held_out_boxes: int
    output_names: tuple[str, ...]
    judged: tuple[int, ...]  # outputs with present and absent held-out frames
    floors: Floors
    labelled_recordings: Mapping[int, int]  # of each budget


@dataclass(frozen=True)
class Section:
    """All that is judged on one bench."""

    bench: Bench
    verdicts: tuple[Verdict, ...]
    controls: tuple[Measured, ...]

    @property
    def rows(self) -> tuple[Measured, ...]:
        """Encoders and then controls."""
        return (*(verdict.encoder for verdict in self.verdicts), *self.controls)
