"""Settings of detection: windows, decoding, and how the work is cut."""

from collections.abc import Collection
from pathlib import Path
from typing import Literal

from rfcx_ssl.decoding.settings import DecodeSettings
from rfcx_ssl.detection.clips import ClipSettings
from rfcx_ssl.inference.settings import Backend, EnsembleSettings, Precision, WindowSettings
from rfcx_ssl.settings import settings

#: Of event tables.
FORMATS = ("csv", "parquet", "jsonl", "raven", "audacity", "kaleidoscope", "birdnet")
CLIPS = "clips"
PICTURES = "pictures"
#: What may be written beside events and scores.
SAVES = ("windows", "frames", "frames_zarr", "embeddings", "embeddings_npz", CLIPS)


def journaled(saves: Collection[str]) -> frozenset[str]:
    """What the journal keeps of every recording so that ``saves`` can be written: ``frames``, ``windows``, ``embeddings``."""
    return frozenset(name.removesuffix("_npz").removesuffix("_zarr") for name in saves if name != CLIPS)


@settings
class HearingSettings:
    """How models are run over audio."""

    backend: Backend = "torch"
    precision: Precision = "auto"
    compile: bool = False
    activity_gate: float | None = None
    batch_size: int | Literal["auto"] = "auto"
    block_s: float = 30.0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if self.batch_size != "auto" and self.batch_size < 1:
            raise ValueError(f"batch_size={self.batch_size} must be at least 1, or auto")
        if self.block_s < 1:
            raise ValueError(f"block_s={self.block_s} must be at least 1")


@settings
class DetectSettings(WindowSettings, HearingSettings, DecodeSettings, EnsembleSettings, ClipSettings):
    """configs/inference/detect.yaml says what each key does."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    occurrence: Path | None = None
    prevalence: str = "none"
    prevalence_recordings: int = 200
    picture_s: float = 60.0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        WindowSettings.__post_init__(self)
        HearingSettings.__post_init__(self)
        DecodeSettings.__post_init__(self)
        EnsembleSettings.__post_init__(self)
        ClipSettings.__post_init__(self)
        if self.picture_s < 1:
            raise ValueError(f"picture_s={self.picture_s} must be at least 1")
        if self.prevalence_recordings < 1:
            raise ValueError(f"prevalence_recordings={self.prevalence_recordings} must be at least 1")
