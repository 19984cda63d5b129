"""Averages of weights: exponential moving average, stochastic weight averaging, mean of the best."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


class MovingAverage:
    """Exponential moving average of a model's parameters; buffers are copied (Polyak averaging with a bias-free start).

    ``model`` is the averaged copy: validation runs on it as it is.
    """

    def __init__(self, model: nn.Module, decay: float, *, warmup: bool) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.warmup = warmup

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards ``model`` after optimizer step ``step`` (from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.warmup else self.decay
        mine, theirs = ([p.detach() for p in module.parameters()] for module in (self.model, model))
        torch._foreach_lerp_(mine, theirs, 1 - decay)
        for own, other in zip(self.model.buffers(), model.buffers(), strict=True):
            own.copy_(other)


class RunningMean:
    """Mean of all the weights shown so far (SWA, Izmailov et al. 2018), kept in float64 on the CPU."""

    def __init__(self) -> None:
        self.count = 0
        self.weights: Weights = {}

    def add(self, weights: Weights) -> None:
        """Take one more set of weights into the mean."""
        self.count += 1
        for name, value in weights.items():
            if not value.is_floating_point():
                self.weights[name] = value.detach().cpu().clone()
                continue
            new = value.detach().cpu().double()
            mean = self.weights.get(name)
            self.weights[name] = new if mean is None else mean + (new - mean) / self.count


def mean_weights(many: Sequence[Weights]) -> Weights:
    """Mean of several sets of weights in their own dtype; counters (integers) come from the first."""
    running = RunningMean()
    for weights in many:
        running.add(weights)
    return {
        name: running.weights[name].to(value.dtype) if value.is_floating_point() else value.clone()
        for name, value in many[0].items()
    }
