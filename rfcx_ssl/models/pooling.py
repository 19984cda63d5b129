"""Frame logits to clip logits, always as a probability, so that a silent clip scores what silent frames score.

Weighted means are taken of probabilities and returned as logits: ``logit(sum_t w_t * sigmoid(z_t))``, computed from
``log p`` and ``log(1 - p)`` so that nothing saturates. Attention follows the PANNs ``AttBlock`` (Kong et al. 2020,
arXiv:1912.10211, section III-D): softmax over time of the clamped attention, sigmoid classification, sum.
"""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.settings import BY_KIND, settings

ATTENTION_CLAMP = 10.0


@settings
class AttentionPoolingSettings:
    """Weights of their own for every frame and output, learned."""

    kind: Literal["attention"] = "attention"
    reduce: Literal["sum", "max"] = "sum"  # weighted mean, or the best frame weighted by its attention


@settings
class MaxPoolingSettings:
    """The best frame."""

    kind: Literal["max"] = "max"


@settings
class MeanPoolingSettings:
    """The mean of all frames."""

    kind: Literal["mean"] = "mean"


@settings
class LinearSoftmaxPoolingSettings:
    """Weights proportional to the probability itself (Wang et al. 2019, arXiv:1810.09050, table 1)."""

    kind: Literal["linear_softmax"] = "linear_softmax"


@settings
class LsePoolingSettings:
    """``log(mean(exp(r z))) / r`` of the logits, between their mean and their max (Pinheiro & Collobert 2015)."""

    kind: Literal["lse"] = "lse"
    sharpness: float = 5.0  # r: 0 tends to the mean of logits, infinity to their max

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if self.sharpness <= 0:
            raise ValueError(f"sharpness must be > 0, got {self.sharpness}")


PoolingSettings = Annotated[
    AttentionPoolingSettings
    | MaxPoolingSettings
    | MeanPoolingSettings
    | LinearSoftmaxPoolingSettings
    | LsePoolingSettings,
    BY_KIND,
]


def logit_of_log(log_p: Tensor, log_not_p: Tensor) -> Tensor:
    """Logit of a probability given as ``log p`` and ``log(1 - p)``."""
    return log_p - log_not_p


def multiply_probabilities(logits: Tensor, gate_logits: Tensor) -> Tensor:
    """Logit of ``sigmoid(logits) * sigmoid(gate_logits)`` without leaving log space. Shapes broadcast."""
    log_p = F.logsigmoid(logits) + F.logsigmoid(gate_logits)
    # 1 - p*g = (1 - g) + g * (1 - p)
    log_not_p = torch.logaddexp(F.logsigmoid(-gate_logits), F.logsigmoid(gate_logits) + F.logsigmoid(-logits))
    return logit_of_log(log_p, log_not_p)


def weighted_clip_logits(frame_logits: Tensor, log_weights: Tensor) -> Tensor:
    """Logit of the weighted mean probability. Both (B, T, K), weights normalized over T -> (B, K)."""
    log_p = torch.logsumexp(log_weights + F.logsigmoid(frame_logits), dim=1)
    log_not_p = torch.logsumexp(log_weights + F.logsigmoid(-frame_logits), dim=1)
    return logit_of_log(log_p, log_not_p)


class ClipPooling(nn.Module):
    """Frame logits (B, T, K) -> clip logits (B, K); frames outside ``mask`` (B, T) are left out."""

    def __init__(self, settings: PoolingSettings, dim: int, num_outputs: int) -> None:
        super().__init__()
        self.settings = settings
        self.attention = nn.Linear(dim, num_outputs) if settings.kind == "attention" else None
        self.takes_best = settings.kind == "attention" and settings.reduce == "max"

    def forward(self, frame_logits: Tensor, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """``features`` (B, T, D) feed the attention; ``mask`` is true for real frames."""
        outside = None if mask is None else ~mask[:, :, None]
        if self.attention is not None:
            scores = self.attention(features).float().clamp(-ATTENTION_CLAMP, ATTENTION_CLAMP)
            return self._attend(frame_logits, _fill(scores, outside))
        if self.settings.kind == "lse":
            return _lse(frame_logits, outside, self.settings.sharpness)
        return _POOLINGS[self.settings.kind](frame_logits, outside)

    def _attend(self, frame_logits: Tensor, scores: Tensor) -> Tensor:
        if not self.takes_best:
            return weighted_clip_logits(frame_logits, torch.log_softmax(scores, dim=1))
        gate = scores - scores.amax(dim=1, keepdim=True)  # log weight relative to the most attended frame, <= 0
        log_p = (gate + F.logsigmoid(frame_logits)).amax(dim=1)
        return logit_of_log(log_p, log1mexp(log_p))


def log1mexp(log_p: Tensor) -> Tensor:
    """``log(1 - exp(x))`` for x < 0, stable at both ends (Maechler 2012); x is kept below -1e-7."""
    x = log_p.clamp(max=-1e-7)
    return torch.where(x > -math.log(2), torch.log(-torch.expm1(x)), torch.log1p(-torch.exp(x)))


def _fill(values: Tensor, outside: Tensor | None) -> Tensor:
    """Minus infinity where a frame is outside the recording."""
    return values if outside is None else values.masked_fill(outside, -math.inf)


def _max(frame_logits: Tensor, outside: Tensor | None) -> Tensor:
    return _fill(frame_logits, outside).amax(dim=1)


def _mean(frame_logits: Tensor, outside: Tensor | None) -> Tensor:
    weights = _fill(torch.zeros_like(frame_logits), outside)
    return weighted_clip_logits(frame_logits, torch.log_softmax(weights, dim=1))


def _linear_softmax(frame_logits: Tensor, outside: Tensor | None) -> Tensor:
    weights = torch.log_softmax(_fill(F.logsigmoid(frame_logits), outside), dim=1)
    return weighted_clip_logits(frame_logits, weights)


def _lse(frame_logits: Tensor, outside: Tensor | None, sharpness: float) -> Tensor:
    total = torch.logsumexp(sharpness * _fill(frame_logits, outside), dim=1)
    if outside is None:  # a tensor, not a number: an exported graph must not write down this window's length
        return (total - torch.full_like(total[:1, :1], frame_logits.shape[1]).log()) / sharpness
    return (total - (~outside).sum(dim=1).clamp(min=1).log()) / sharpness


_POOLINGS = {"max": _max, "mean": _mean, "linear_softmax": _linear_softmax}
