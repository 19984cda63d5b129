"""The learner: a model with its loss and augmentation, its optimizer and its averages; it takes optimizer steps."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, DistributedType, broadcast, set_seed
from torch import Generator, Tensor, nn

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.labels import Batch, Lesson
from rfcx_ssl.training.averaging import MovingAverage, RunningMean, Weights
from rfcx_ssl.training.batch_statistics import BatchStatistics
from rfcx_ssl.training.checkpoint import write_folder
from rfcx_ssl.training.freezing import Freezer
from rfcx_ssl.training.judge import Judge
from rfcx_ssl.training.mean_teacher import teach
from rfcx_ssl.training.optim import build_optimizer, set_learning_rates
from rfcx_ssl.training.sampler import EpochDataset
from rfcx_ssl.training.schedule import learning_rate_factor
from rfcx_ssl.training.settings import LoopSettings
from rfcx_ssl.training.sharded import gather_optimizer, scatter_model, scatter_optimizer
from rfcx_ssl.training.update import LossFunction, LossOfBatch, StepReport, Update


@dataclass(frozen=True)
class Parts:
    """A model to train, on what, towards what: all that a run knows of models, losses and data."""

    model: nn.Module  # waveform (B, N) -> output; with ``save_pretrained(folder, state_dict=...)``
    loss: LossFunction
    augment: Callable[[Any, Generator], Any] | None  # a collated batch -> what the model hears and the loss reads
    train_set: EpochDataset
    collate: Callable[[Any], Any]
    sample_rate_hz: int
    validation: Judge | None
    disturb: Callable[[Batch, Generator], Batch] | None = None  # after augment, and heard by the student alone
    data_facts: Mapping[str, Any] = field(default_factory=dict)  # must not change between sessions of a run
    fold: int | None = None
    kind: str = "fine-tuning"  # what run.json calls the run
    files: Mapping[str, str] = field(default_factory=dict)  # name and text of what is written into the run folder


def make_accelerator(settings: LoopSettings) -> Accelerator:
    """The accelerator of this process; launcher settings (``accelerate launch``) decide what the run's do not."""
    precision = {"launcher": None, "fp32": "no"}.get(settings.precision, settings.precision)
    handler = DistributedDataParallelKwargs(find_unused_parameters=settings.find_unused_parameters)
    # Accumulation is ours (Update), because the parts of a batch do not weigh the same.
    return Accelerator(mixed_precision=precision, gradient_accumulation_steps=1, kwargs_handlers=[handler])


class Learner:
    """Built from ``parts`` and, where given, the tensors of a checkpoint; ``max_steps`` is the length of the run."""

    def __init__(
        self,
        settings: LoopSettings,
        parts: Parts,
        accelerator: Accelerator,
        max_steps: int,
        tensors: dict[str, Any] | None,
    ) -> None:
        self.settings = settings
        self.accelerator = accelerator
        self.max_steps = max_steps
        self.augment, self.disturb = parts.augment, parts.disturb
        self.is_sharded = accelerator.distributed_type == DistributedType.FSDP
        # train(): transformers hands out pretrained encoders in evaluation mode.
        self.plain = LossOfBatch(parts.model, parts.loss).to(accelerator.device).train()
        if tensors is not None:
            _load(self.plain, tensors["module"])
        average = settings.average
        if self.is_sharded and (average.ema or settings.optim.sam_radius or settings.optim.freeze):
            raise ConfigError("average.ema, optim.sam_radius and optim.freeze do not work with FSDP")
        # Copied before compiling and wrapping, so that the average stays a plain model.
        self.ema: MovingAverage | None = None
        if average.ema is not None:
            self.ema = MovingAverage(parts.model, average.ema.decay, warmup=average.ema.warmup)
        self.swa = RunningMean()
        if settings.compile:
            self.plain.compile()
        optimizer = build_optimizer(parts.model, settings.optim, extra=self.plain.loss)
        self.module, self.optimizer = accelerator.prepare(self.plain, optimizer)
        self.freezer = Freezer(settings.optim.freeze, parts.model, max_steps, compiled=settings.compile)
        self.update = Update(
            accelerator,
            self.module,
            parts.loss,
            self.optimizer,
            max_grad_norm=settings.max_grad_norm,
            sam_radius=settings.optim.sam_radius,
        )
        self._generator = torch.Generator(accelerator.device)  # of augmentations
        if tensors is not None:
            self._restore(tensors)

    @property
    def model(self) -> nn.Module:
        """The model that is validated and saved: the moving average where there is one."""
        if self.ema is not None:
            return self.ema.model
        model: nn.Module = self.accelerator.unwrap_model(self.module).model
        return model

    def step(self, batches: Sequence[Batch], number: int, *, stop: bool = False) -> StepReport:
        """Take optimizer step ``number`` (from 0) on this process's micro-batches of a global batch.

        What is random in it is a function of (seed, number, rank): augmentations draw from a generator of their own,
        the passes (dropout, layer drop) from the global ones, which are seeded once, and once more for SAM's second
        pass, which must see the dropout of the first.
        """
        set_learning_rates(self.optimizer, learning_rate_factor(number, self.max_steps, self.settings.schedule))
        self.freezer(number)
        seed = self._seed(number)
        self._generator.manual_seed(seed)
        lessons = [self._lesson(batch, number) for batch in batches]
        if self.settings.mean_teacher is not None:
            self._seed(number)  # some models draw even in evaluation mode
        report = self.update(lessons, lambda: self._seed(number), stop=stop)
        if self.ema is not None and report.finite:
            self.ema.update(self.plain.model, number + 1)
            self._share_statistics(self.ema.model)
        return report

    def weights(self) -> Weights:
        """Tensors of :attr:`model`, whole, on the CPU; every process must call this."""
        if self.ema is not None:
            return _to_cpu(self.ema.model.state_dict())
        whole = self._whole_module()
        return {name.removeprefix("model."): value for name, value in whole.items() if name.startswith("model.")}

    def add_to_mean(self, step: int) -> None:
        """Take the model evaluated after ``step`` steps into the SWA mean, from the share ``swa_start`` of a run on."""
        start = self.settings.average.swa_start
        if start is not None and step / self.max_steps >= start:
            self.swa.add(self.weights())

    def learning_rates(self) -> dict[str, float]:
        """Current rate of every parameter group, the same rates once: ``encoder/top-1``, ``head/top-0`` ..."""
        groups = self.optimizer.param_groups
        return {group["name"].removesuffix("/no_decay").removesuffix("/decay"): group["lr"] for group in groups}

    def tensors(self) -> dict[str, Any]:
        """Everything a checkpoint holds, on the CPU; every process must call this."""
        scaler = self.accelerator.scaler
        return {
            "module": self._whole_module(),
            "optimizer": self._whole_optimizer(),
            "scaler": None if scaler is None else scaler.state_dict(),
            "ema": None if self.ema is None else _to_cpu(self.ema.model.state_dict()),
            "swa": {"count": self.swa.count, "weights": self.swa.weights},
        }

    def load_model(self, weights: Weights) -> None:
        """Put other weights into :attr:`model`, to score them; training is over then."""
        if self.is_sharded:
            scatter_model(self.model, weights)
        else:
            self.model.load_state_dict(weights)

    def save_model(self, folder: Path, weights: Weights) -> None:
        """Write a model folder with ``weights`` (main process)."""
        model: Any = self.plain.model
        write_folder(folder, lambda partial: model.save_pretrained(partial, state_dict=dict(weights)))

    def _seed(self, number: int) -> int:
        return seed_everything(self.settings.seed, number, self.accelerator.process_index)

    def _lesson(self, batch: Batch, number: int) -> Lesson:
        """The batch as the model sees it, with what the teacher says of it where there is one."""
        heard = self._changed(self.augment, batch)
        seen = self._changed(self.disturb, heard)
        if self.settings.mean_teacher is None:
            return seen
        trust = self.settings.mean_teacher.trust(number, self.max_steps)
        return teach(self.model, heard, seen, trust, self.accelerator)

    @torch.no_grad()
    def _changed(self, change: Callable[[Any, Generator], Any] | None, batch: Batch) -> Batch:
        return batch if change is None else change(batch, self._generator)

    def _share_statistics(self, model: nn.Module) -> None:
        """Batch norms take the main process's statistics, as DDP gives them to the model itself in its next pass."""
        if self.accelerator.num_processes > 1:
            for buffer in BatchStatistics(model).buffers:
                broadcast(buffer)

    def _whole_module(self) -> Weights:
        return _to_cpu(self.accelerator.get_state_dict(self.module))

    def _whole_optimizer(self) -> dict[str, Any]:
        if self.is_sharded:
            return gather_optimizer(self.module, self.optimizer.optimizer)
        state: dict[str, Any] = self.optimizer.state_dict()
        return state

    def _restore(self, tensors: dict[str, Any]) -> None:
        if self.is_sharded:
            scatter_optimizer(self.module, self.optimizer.optimizer, tensors["optimizer"])
        else:
            self.optimizer.load_state_dict(tensors["optimizer"])
        if self.accelerator.scaler is not None and tensors["scaler"] is not None:
            self.accelerator.scaler.load_state_dict(tensors["scaler"])
        if self.ema is not None and tensors["ema"] is not None:
            _load(self.ema.model, tensors["ema"])
        self.swa.count, self.swa.weights = tensors["swa"]["count"], tensors["swa"]["weights"]


def seed_everything(seed: int, step: int, rank: int) -> int:
    """Set all generators of this process as a function of (seed, step, rank); returns the number used."""
    number = int(np.random.SeedSequence([seed, step, rank]).generate_state(1)[0])
    if torch.accelerator.is_available():
        set_seed(number)
    else:  # set_seed would note down the call stack, four times, for each kind of device that is not there: 1.3 ms
        random.seed(number)
        np.random.seed(number)  # noqa: NPY002 - libraries draw from it
        torch.default_generator.manual_seed(number)
    return number


def _load(module: nn.Module, weights: Weights) -> None:
    try:
        module.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"the checkpoint does not fit the model: {str(error).splitlines()[-1].strip()}"
        ) from None


def _to_cpu(weights: dict[str, Tensor]) -> Weights:
    return {name: value.detach().to("cpu", copy=True) for name, value in weights.items()}
