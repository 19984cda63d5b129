"""One optimizer step: forward and backward over all micro-batches and processes, clip, guard, update."""

import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from rfcx_ssl.labels import Lesson
from rfcx_ssl.training.batch_statistics import BatchStatistics
from rfcx_ssl.training.mass import masses_of, stack_masses

Terms = dict[str, Tensor]
LossFunction = Callable[[Any, Lesson], Terms]


class LossOfBatch(nn.Module):
    """Model and loss as one module, so that distributed wrappers see every parameter, the loss's own too."""

    def __init__(self, model: nn.Module, loss: LossFunction) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, batch: Lesson) -> Terms:
        """Loss terms of a batch; the loss itself works in float32."""
        output = self.model(batch.waveform)
        with torch.autocast(batch.waveform.device.type, enabled=False):
            return self.loss(output, batch)


@dataclass(frozen=True)
class StepReport:
    """What one step did, as plain numbers, the same on every process."""

    terms: dict[str, float]  # loss terms of the global batch, "loss" among them
    grad_norm: float  # before clipping
    finite: bool  # False: the step was skipped
    stop: bool  # some process was asked to stop


class Update:
    """Takes one optimizer step on the micro-batches of one global batch.

    The gradient is that of the loss over the global batch, however it is spread over micro-batches and processes:
    each loss term is a mean over some mass (known cells, clips, boxes), so a part of the batch enters with the share
    of that mass it holds, not with 1 / (number of parts).
    """

    def __init__(
        self,
        accelerator: Accelerator,
        module: nn.Module,
        loss: LossFunction,
        optimizer: torch.optim.Optimizer,
        *,
        max_grad_norm: float | None,
        sam_radius: float = 0.0,
    ) -> None:
        self.accelerator = accelerator
        self.module = module
        self.loss = loss
        self.optimizer = optimizer
        self.max_grad_norm = math.inf if max_grad_norm is None else max_grad_norm
        self.sam_radius = sam_radius
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        self.statistics = BatchStatistics(module)

    def __call__(self, batches: Sequence[Lesson], reseed: Callable[[], object], *, stop: bool = False) -> StepReport:
        """Step on this process's ``batches``; ``reseed`` gives SAM's second pass the random numbers of the first."""
        names, shares = self._shares(batches)
        before = self.statistics.copy()
        sums = self._backward(batches, names, shares)
        if self.sam_radius:
            weights = [parameter.detach().clone() for parameter in self.parameters]
            counted = self.statistics.copy()
            self._climb()
            reseed()
            self._backward(batches, names, shares)
            self.statistics.restore(counted)  # the second pass does not count
            torch._foreach_copy_([parameter.data for parameter in self.parameters], weights)
        grad_norm = self.accelerator.clip_grad_norm_(self.parameters, self.max_grad_norm)
        report = self._report(names, sums, grad_norm, stop)
        if report.finite:
            self.optimizer.step()
        else:
            self._leave_no_trace(before)
        self.optimizer.zero_grad()
        return report

    def _shares(self, batches: Sequence[Lesson]) -> tuple[list[str], Tensor]:
        """Names of the terms, and the share (micro-batches, terms) of each term's global mass in our batches."""
        masses = [masses_of(self.loss, batch) for batch in batches]
        stacked = torch.stack([stack_masses(mass) for mass in masses])
        totals = self._sum_over_processes(stacked.sum(0))
        return list(masses[0]), stacked / totals.clamp(min=torch.finfo(torch.float32).tiny)

    def _backward(self, batches: Sequence[Lesson], names: Sequence[str], shares: Tensor) -> Tensor:
        """Add this process's part of the gradient; returns its part of every loss term (terms,)."""
        sums = torch.zeros_like(shares[0])
        for position, batch in enumerate(batches):
            is_last = position == len(batches) - 1
            with contextlib.nullcontext() if is_last else self.accelerator.no_sync(self.module):
                terms = self.module(batch)
                parts = torch.stack([terms[name] for name in names]) * shares[position]
                # DDP takes the mean of the gradients over processes, but the shares already sum to 1 over them.
                self.accelerator.backward(parts.sum() * self.accelerator.num_processes)
            sums += parts.detach()
        return sums

    def _climb(self) -> None:
        """Move the weights uphill by ``sam_radius`` along the gradient and clear it (Foret et al. 2021, equation 2)."""
        moving = [parameter for parameter in self.parameters if parameter.grad is not None]
        gradients = [parameter.grad for parameter in moving if parameter.grad is not None]
        scale = self.sam_radius / (torch.nn.utils.get_total_norm(gradients) + 1e-12)
        torch._foreach_add_([parameter.data for parameter in moving], torch._foreach_mul(gradients, scale))
        self.optimizer.zero_grad()

    def _leave_no_trace(self, statistics: list[Tensor]) -> None:
        """Undo what a skipped step has done besides its gradient."""
        self.statistics.restore(statistics)
        if self.accelerator.scaler is not None:  # fp16
            self.accelerator.scaler.update()  # a lower scale, and ready to unscale the next step's gradient

    def _report(self, names: Sequence[str], sums: Tensor, grad_norm: Tensor | None, stop: bool) -> StepReport:
        """Share what happened; the one place of a step where the host waits for the device."""
        shared = self._sum_over_processes(torch.cat([sums, sums.new_tensor([float(stop)])]))
        if grad_norm is not None and hasattr(grad_norm, "full_tensor"):  # a DTensor, of a sharded model
            grad_norm = grad_norm.full_tensor()
        norm = shared.new_zeros(1) if grad_norm is None else grad_norm.detach().to(shared).reshape(1)
        *values, stops, norm_value = torch.cat([shared, norm]).tolist()
        terms = dict(zip(names, values, strict=True)) | {"loss": sum(values)}
        finite = math.isfinite(norm_value) and math.isfinite(terms["loss"])
        return StepReport(terms, norm_value, finite, stops > 0)

    def _sum_over_processes(self, values: Tensor) -> Tensor:
        if self.accelerator.num_processes == 1:
            return values
        total: Tensor = self.accelerator.reduce(values, reduction="sum")
        return total
