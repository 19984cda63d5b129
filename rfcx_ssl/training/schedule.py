"""Learning-rate schedules as plain functions of the optimizer step, so a resumed run has no schedule state to restore."""

import math
from typing import Annotated, Literal, assert_never

from rfcx_ssl.settings import BY_KIND, settings


@settings
class WarmupSettings:
    """How every schedule begins, counted in optimizer steps whatever the number of processes."""

    kind: str
    warmup: float = 0.1  # share of all steps below 1, otherwise a number of steps
    start_factor: float = 0.0  # learning rate before the first step, as a share of the peak

    def __post_init__(self) -> None:
        if self.warmup < 0:
            raise ValueError(f"warmup={self.warmup} must be 0 or more")
        if not 0 <= self.start_factor <= 1:
            raise ValueError(f"start_factor={self.start_factor} must be in [0, 1]")


@settings
class ConstantScheduleSettings(WarmupSettings):
    """The peak after the warm-up, to the end."""

    kind: Literal["constant"] = "constant"


@settings
class DecayScheduleSettings(WarmupSettings):
    """A decay from the end of the warm-up to the end of the run."""

    end_factor: float = 0.0  # learning rate after the last step, as a share of the peak

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.end_factor <= 1:
            raise ValueError(f"end_factor={self.end_factor} must be in [0, 1]")


@settings
class LinearScheduleSettings(DecayScheduleSettings):
    """A straight line, as transformers' ``get_linear_schedule_with_warmup``."""

    kind: Literal["linear"] = "linear"


@settings
class CosineScheduleSettings(DecayScheduleSettings):
    """Half a cosine, as transformers' ``get_cosine_schedule_with_warmup``."""

    kind: Literal["cosine"] = "cosine"


@settings
class TriStageScheduleSettings(WarmupSettings):
    """fairseq's: linear warm-up, hold, exponential decay (SpecAugment, Park et al. 2019, section 3)."""

    kind: Literal["tri_stage"] = "tri_stage"
    start_factor: float = 0.01
    hold: float = 0.4  # share of all steps at the peak
    end_factor: float = 0.05

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.hold < 1:
            raise ValueError(f"hold={self.hold} must be in [0, 1)")
        if not 0 < self.end_factor <= 1:
            raise ValueError(f"end_factor={self.end_factor} must be in (0, 1]: the decay is exponential")


@settings
class StepScheduleSettings(WarmupSettings):
    """A fall by ``gamma`` every ``step_size`` steps, counted from the run's first, as torch's ``StepLR``."""

    kind: Literal["step"] = "step"
    step_size: float = 0.3  # share of all steps below 1, otherwise a number of steps
    gamma: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.step_size <= 0:
            raise ValueError(f"step_size={self.step_size} must be above 0")
        if not 0 < self.gamma <= 1:
            raise ValueError(f"gamma={self.gamma} must be in (0, 1]")


ScheduleSettings = Annotated[
    ConstantScheduleSettings
    | LinearScheduleSettings
    | CosineScheduleSettings
    | TriStageScheduleSettings
    | StepScheduleSettings,
    BY_KIND,
]


def count_steps(value: float, total_steps: int) -> int:
    """A setting in steps: below 1 it is a share of ``total_steps``."""
    return round(value * total_steps) if value < 1 else int(value)


def learning_rate_factor(step: int, total_steps: int, schedule: ScheduleSettings) -> float:
    """Share of the peak learning rate that optimizer step ``step`` (from 0) uses.

    ``linear`` and ``cosine`` reach ``end_factor`` after the last step.
    """
    warmup = count_steps(schedule.warmup, total_steps)
    if step < warmup:
        # fairseq starts at start_factor; the others start one step in, so that no step is wasted on a rate of 0.
        progress = step / warmup if schedule.kind == "tri_stage" else (step + 1) / (warmup + 1)
        return schedule.start_factor + (1 - schedule.start_factor) * progress
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    match schedule:
        case ConstantScheduleSettings():
            return 1.0
        case LinearScheduleSettings():
            return _between(schedule.end_factor, 1 - progress)
        case CosineScheduleSettings():
            return _between(schedule.end_factor, 0.5 * (1 + math.cos(math.pi * progress)))
        case TriStageScheduleSettings():
            return _hold_and_decay(step - warmup, total_steps, warmup, schedule)
        case StepScheduleSettings():
            return float(schedule.gamma ** (step // max(1, count_steps(schedule.step_size, total_steps))))
        case _:
            assert_never(schedule)


def _between(end_factor: float, height: float) -> float:
    """From 1 at height 1 down to ``end_factor`` at height 0."""
    return end_factor + (1 - end_factor) * height


def _hold_and_decay(step: int, total_steps: int, warmup: int, schedule: TriStageScheduleSettings) -> float:
    hold = int(schedule.hold * total_steps)
    if step < hold:
        return 1.0
    decay = max(1, total_steps - warmup - hold)
    if step - hold > decay:
        return schedule.end_factor
    return math.exp(math.log(schedule.end_factor) * (step - hold) / decay)
