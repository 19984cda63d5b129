"""Settings of the training loop: one schema for what a run does, apart from its data, model, augmentation and loss."""

from typing import Literal

from rfcx_ssl.inference.settings import DEFAULT_AGGREGATE, DEFAULT_OVERLAP, Aggregate, WindowSettings
from rfcx_ssl.settings import settings
from rfcx_ssl.training.mean_teacher import MeanTeacherSettings
from rfcx_ssl.training.optim import AdamWSettings, OptimSettings
from rfcx_ssl.training.schedule import CosineScheduleSettings, ScheduleSettings

# Settings that may change between the two halves of a resumed run: they do not touch a single weight.
OPERATIONAL_KEYS = frozenset(
    {
        "output_dir",
        "num_workers",
        "log_every",
        "save_every",
        "keep_last",
        "trackers",
        "num_pictures",
        "threads",
        "lock_timeout_s",
        "loader_timeout_s",
    }
)


@settings
class EmaSettings:
    """A moving average of weights, which validation and the saved model use."""

    decay: float
    warmup: bool = True  # the decay is min(decay, (1 + step) / (10 + step)), as in the EMA of TensorFlow

    def __post_init__(self) -> None:
        if not 0 < self.decay < 1:
            raise ValueError(f"decay={self.decay} must be in (0, 1); null averages nothing")


@settings
class AverageSettings:
    """Averages of weights. All are off by default."""

    ema: EmaSettings | None = None
    swa_start: float | None = None  # fraction of the steps from which every evaluation's weights are averaged (SWA)
    top_k: int = 1  # how many best evaluations are kept; with more than 1 their average competes with the best

    def __post_init__(self) -> None:
        if self.swa_start is not None and not 0 <= self.swa_start < 1:
            raise ValueError(f"swa_start={self.swa_start} must be in [0, 1)")
        if self.top_k < 1:
            raise ValueError(f"top_k={self.top_k} must be at least 1")


@settings
class EarlyStopSettings:
    """When a run ends before its last step."""

    patience: int  # evaluations without a better score
    min_gain: float = 0.0  # a better score is one this far above the score at the last gain

    def __post_init__(self) -> None:
        if self.patience < 1:
            raise ValueError(f"patience={self.patience} must be at least 1 evaluation; null never stops")


@settings
class EvaluationSettings(WindowSettings):
    """Validation as inference is done; its windows are saved with the model, which is used with them ever after."""

    overlap: float | None = DEFAULT_OVERLAP
    aggregate: Aggregate | None = DEFAULT_AGGREGATE
    every: int = 0  # optimizer steps; 0: only after the last one
    select_metric: str = "auto"  # or any metric of an evaluation line in metrics.jsonl: of all of them more is better
    max_recordings: int | None = None  # None: every validation recording
    early_stop: EarlyStopSettings | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.every < 0:
            raise ValueError(f"every={self.every} must be 0 or more optimizer steps")
        if self.early_stop is not None and not self.every:
            raise ValueError("early_stop needs evaluation.every above 0")


@settings
class LoopSettings:
    """What the loop does. Steps are optimizer steps; ``batch_size`` is the global batch for any number of processes."""

    output_dir: str
    seed: int = 0
    max_steps: int | None = None
    epochs: float | None = None
    batch_size: int = 32
    micro_batch_size: int | None = None  # crops per process and forward pass; None: no gradient accumulation
    precision: Literal["launcher", "fp32", "bf16", "fp16"] = "launcher"  # launcher: as its file says, without one fp32
    compile: bool = False
    find_unused_parameters: bool = True  # False is faster in DDP where every parameter gets a gradient
    max_grad_norm: float | None = 1.0
    max_bad_steps: int = 20  # NaN/Inf steps in a row before the run stops
    num_workers: int = 2
    threads: int | None = None  # torch threads per process; None: rfcx_ssl.threads chooses
    log_every: int = 10
    save_every: int = 500
    keep_last: int = 2
    trackers: tuple[Literal["tensorboard", "wandb"], ...] = ("tensorboard",)
    num_pictures: int = 2  # example pictures per evaluation
    loader_timeout_s: float = 600.0  # the longest wait for a batch of the workers; 0: any time
    lock_timeout_s: float = 30.0  # how long to wait for another process that still holds the run folder
    optim: OptimSettings = AdamWSettings()
    schedule: ScheduleSettings = CosineScheduleSettings()
    average: AverageSettings = AverageSettings()
    mean_teacher: MeanTeacherSettings | None = None
    evaluation: EvaluationSettings = EvaluationSettings()

    def __post_init__(self) -> None:
        if (self.max_steps is None) == (self.epochs is None):
            raise ValueError("set one of max_steps and epochs")
        for key in (
            "max_steps",
            "epochs",
            "batch_size",
            "micro_batch_size",
            "log_every",
            "save_every",
            "keep_last",
            "threads",
        ):
            value = getattr(self, key)
            if value is not None and value <= 0:
                raise ValueError(f"{key}={value} must be above 0")
        if self.max_bad_steps < 0 or self.num_workers < 0 or self.num_pictures < 0 or self.loader_timeout_s < 0:
            raise ValueError("max_bad_steps, num_workers, num_pictures and loader_timeout_s must be 0 or more")
        if self.max_grad_norm is not None and self.max_grad_norm <= 0:
            raise ValueError(f"max_grad_norm={self.max_grad_norm} must be above 0; null clips nothing")
        if self.optim.freeze is not None and not self.find_unused_parameters:
            raise ValueError("optim.freeze needs find_unused_parameters=true: frozen layers get no gradient")
        if self.mean_teacher is not None and self.average.ema is None:
            raise ValueError("mean_teacher needs average.ema.decay (0.999): the teacher is the moving average")
        if self.optim.sam_radius and self.precision == "fp16":
            raise ValueError("optim.sam_radius needs precision fp32 or bf16: fp16 scales its gradients")

    @property
    def teacher_weight(self) -> float:
        """What consistency with a mean teacher weighs in the loss; 0 without one."""
        return 0.0 if self.mean_teacher is None else self.mean_teacher.weight

    def total_steps(self, num_items: int) -> int:
        """Optimizer steps of the whole run for ``num_items`` training crops per epoch."""
        if self.max_steps is not None:
            return self.max_steps
        assert self.epochs is not None  # checked in __post_init__
        return max(1, round(self.epochs * num_items / self.batch_size))
