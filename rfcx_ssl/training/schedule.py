"""Learning-rate schedules as plain functions of the optimizer step, so a resumed run has no schedule state to restore."""

import math
from typing import Literal

from rfcx_ssl.settings import settings


@settings
class ScheduleSettings:
    """A warm-up and a decay, counted in optimizer steps whatever the number of processes."""

    kind: Literal["constant", "linear", "cosine", "tri_stage"] = "cosine"
    warmup: float = 0.1  # share of all steps below 1, otherwise a number of steps
    hold: float = 0.4  # tri_stage only: share of all steps at the peak
    start_factor: float = 0.0  # learning rate before the first step, as a share of the peak
    end_factor: float = 0.0  # learning rate after the last step, as a share of the peak (tri_stage: above 0)

    def __post_init__(self) -> None:
        if self.warmup < 0 or not 0 <= self.hold < 1:
            raise ValueError(f"need warmup >= 0 and 0 <= hold < 1, got {self.warmup=}, {self.hold=}")
        if not (0 <= self.start_factor <= 1 and 0 <= self.end_factor <= 1):
            raise ValueError("start_factor and end_factor must be in [0, 1]")
        if self.kind == "tri_stage" and not self.end_factor > 0:
            raise ValueError("tri_stage decays exponentially: end_factor must be above 0 (fairseq uses 0.05)")

    def warmup_steps(self, total_steps: int) -> int:
        """Number of warm-up steps of a run of ``total_steps``."""
        return count_steps(self.warmup, total_steps)


def count_steps(value: float, total_steps: int) -> int:
    """A setting in steps: below 1 it is a share of ``total_steps``."""
    return round(value * total_steps) if value < 1 else int(value)


def learning_rate_factor(step: int, total_steps: int, schedule: ScheduleSettings) -> float:
    """Share of the peak learning rate that optimizer step ``step`` (from 0) uses.

    ``linear`` and ``cosine`` reach ``end_factor`` after the last step, as transformers' schedules do; ``tri_stage`` is
    fairseq's (SpecAugment, Park et al. 2019, section 3): linear warm-up, hold, exponential decay.
    """
    warmup = schedule.warmup_steps(total_steps)
    if step < warmup:
        # fairseq starts at start_factor; the others start one step in, so that no step is wasted on a rate of 0.
        progress = step / warmup if schedule.kind == "tri_stage" else (step + 1) / (warmup + 1)
        return schedule.start_factor + (1 - schedule.start_factor) * progress
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "tri_stage":
        return _hold_and_decay(step - warmup, total_steps, warmup, schedule)
    progress = min(1.0, (step - warmup) / max(1, total_steps - warmup))
    shape = 1 - progress if schedule.kind == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return schedule.end_factor + (1 - schedule.end_factor) * shape


def _hold_and_decay(step: int, total_steps: int, warmup: int, schedule: ScheduleSettings) -> float:
    hold = int(schedule.hold * total_steps)
    if step < hold:
        return 1.0
    decay = max(1, total_steps - warmup - hold)
    if step - hold > decay:
        return schedule.end_factor
    return math.exp(math.log(schedule.end_factor) * (step - hold) / decay)
