"""Settings of a distillation: configs/finetune/distill.yaml composes them."""

from pathlib import Path
from typing import Literal

from rfcx_ssl.augment import AugmentSettings
from rfcx_ssl.inference.settings import Precision
from rfcx_ssl.losses.settings import DistillLossSettings
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.settings import settings
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.train import StartSettings

OTHER_SOUND = ("speed", "stretch", "cutmix", "shift", "mixup")  # after these a crop is not what the teacher heard


@settings
class TeacherSettings:
    """Who teaches, and what of it."""

    models: tuple[str, ...]  # RUN, RUN/model, a model on the hub, or an ONNX file or its YAML (docs/distillation.md)
    weights: tuple[float, ...] | None = None  # one per teacher; None: all the same
    species: tuple[str, ...] = ()  # names, codes or scientific names; (): all that some teacher knows
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("models must name at least one teacher")
        if self.weights is not None and len(self.weights) != len(self.models):
            raise ValueError(f"weights={list(self.weights)}: need one for each of {len(self.models)} models")
        if self.weights is not None and not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError(f"weights={list(self.weights)} must be above 0 and finite")


@settings
class UnlabelledSettings:
    """Recordings that nobody labelled, and how they are cut into crops."""

    folders: tuple[Path, ...]  # searched to any depth
    species_file: Path | None = None  # the student's species; None: those of the first teacher that is a model of ours
    crop_s: float = 5.0
    crops_per_epoch: int | None = None  # None: as many as make up the length of all training recordings
    valid_share: float = 0.1  # of the groups; 0 holds nothing out
    group_by: Literal["recording", "folder"] = "recording"  # never on both sides
    seed: int = 0  # of the sides; crops use the training seed

    def __post_init__(self) -> None:
        if not self.folders:
            raise ValueError("folders must name at least one folder")
        if not self.crop_s > 0:
            raise ValueError(f"crop_s={self.crop_s} must be above 0")
        if self.crops_per_epoch is not None and self.crops_per_epoch < 1:
            raise ValueError(f"crops_per_epoch={self.crops_per_epoch} must be at least 1")
        if not 0 <= self.valid_share < 1:
            raise ValueError(f"valid_share={self.valid_share} must be in [0, 1)")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")


@settings
class DistillSettings(LoopSettings):
    """Everything a distillation is a function of."""

    model: ModelSettings  # the student
    teacher: TeacherSettings
    data: UnlabelledSettings
    augment: AugmentSettings
    loss: DistillLossSettings = DistillLossSettings()
    start: StartSettings | None = None  # a trained model that the student goes on from

    def __post_init__(self) -> None:
        """Check the rules between components."""
        super().__post_init__()
        if self.mean_teacher is not None:
            raise ValueError(
                "mean_teacher is for cells that nobody judged; here teachers speak of all of them: set it to null"
            )
        moved = [name for name in self.augment.transforms if name in OTHER_SOUND]
        if moved and self.loss.embedding is not None:
            raise ValueError(
                f"augment.{moved[0]} makes another sound of a crop than the teacher's embedding is of: "
                f"set augment.{moved[0]}=null or loss.embedding=null"
            )
