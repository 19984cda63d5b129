"""Settings of self-training in rounds: who teaches, what each round trains, and when it ends."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from rfcx_ssl.config import load_settings
from rfcx_ssl.settings import settings

Words = tuple[str, ...]  # settings of another program, as on its command line: key=value
RoundMetric = Literal["auto", "lwlrap", "map", "auc", "box_auc", "box_map"]


@settings
class RoundSettings:
    """What differs in one round; its words come after those of all rounds."""

    label: Words = ()
    student: Words = ()
    pseudo: Words = ()
    start: Literal["new", "previous"] = (
        "new"  # previous: from the model of the round before, of the same seed and fold
    )


@settings
class SelfTrainSettings:
    """``configs/self_train/*.yaml`` say what each key does (docs/self-training.md, "Rounds")."""

    train: Words
    teachers: tuple[Path, ...] = ()
    teacher: Words = ()
    audio: tuple[str, ...] | None = None
    label: Words = ()
    student: Words = ()
    pseudo: Words = ()
    rounds: tuple[RoundSettings, ...] = (RoundSettings(),)
    folds: tuple[int, ...] | None = None
    seeds: tuple[int, ...] = (0,)
    drop_flagged: bool = True
    metric: RoundMetric = "auto"
    min_gain: float = 0.0
    control: bool = True
    control_steps: int | None = None
    test: bool = True
    resamples: int = 1000

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if not self.rounds:
            raise ValueError("rounds must have at least one round; {} is one without settings of its own")
        if self.teachers and self.teacher:
            raise ValueError(
                f"teachers and teacher={list(self.teacher)}: given teachers are not trained; set one of them"
            )
        for key in ("seeds", "folds"):
            values = getattr(self, key)
            if values is not None and (not values or len(set(values)) < len(values) or min(values) < 0):
                raise ValueError(f"{key}={list(values)} must be different whole numbers from 0 on, at least one")
        if self.control_steps is not None and self.control_steps < 1:
            raise ValueError(
                f"control_steps={self.control_steps} must be at least 1; null: as many as all rounds together"
            )
        if self.resamples < 1:
            raise ValueError(f"resamples={self.resamples} must be at least 1")


def open_rounds(config: str, overrides: Sequence[str], train: Sequence[str]) -> SelfTrainSettings:
    """Settings of a file in configs/self_train/, or of any other YAML file; ``train`` are further words of every training.

    Raises:
        ConfigError: there is no such file, or its settings or the overrides are wrong.
    """
    path = Path(config)
    group, name = (str(path.resolve().parent), path.stem) if path.suffix == ".yaml" else ("self_train", config)
    settings = load_settings(SelfTrainSettings, group, name, overrides)
    return replace(settings, train=(*settings.train, *train))
