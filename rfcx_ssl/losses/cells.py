"""Losses of single cells (one clip or frame, one output), elementwise and from logits, so nothing saturates.

``target`` may be soft. All shapes broadcast; nothing is reduced or masked here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def bce(logits: Tensor, target: Tensor, pos_weight: Tensor | None = None) -> Tensor:
    """Binary cross-entropy; ``pos_weight`` (K,) multiplies the positive part."""
    return F.binary_cross_entropy_with_logits(logits, target, pos_weight=pos_weight, reduction="none")


def focal(
    logits: Tensor, target: Tensor, pos_weight: Tensor | None = None, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Focal loss (Lin et al. 2017, arXiv:1708.02002, equation 5), linear in a soft target.

    ``alpha`` in (0, 1) weights positives by alpha and negatives by 1 - alpha; None weights neither.
    """
    log_p, log_not_p = F.logsigmoid(logits), F.logsigmoid(-logits)
    positive = -torch.exp(gamma * log_not_p) * log_p  # (1 - p)^gamma * -log p
    negative = -torch.exp(gamma * log_p) * log_not_p
    if alpha is not None:
        positive, negative = alpha * positive, (1 - alpha) * negative
    if pos_weight is not None:
        positive = pos_weight * positive
    return target * positive + (1 - target) * negative


def asymmetric(
    logits: Tensor,
    target: Tensor,
    pos_weight: Tensor | None = None,
    gamma_positive: float = 0.0,
    gamma_negative: float = 4.0,
    margin: float = 0.05,
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, arXiv:2009.14119, equations 5-7), linear in a soft target.

    Negatives use the shifted probability ``max(p - margin, 0)``: those below the margin cost nothing.
    """
    p = torch.sigmoid(logits)
    positive = -torch.exp(gamma_positive * F.logsigmoid(-logits)) * F.logsigmoid(logits)
    shifted = (p - margin).clamp(min=0)
    # 1 - shifted = (1 - p) + margin where not clipped; its log needs no stabilising for margin > 0
    log_rest = torch.log1p(-shifted) if margin > 0 else F.logsigmoid(-logits)
    negative = -shifted.pow(gamma_negative) * log_rest
    if pos_weight is not None:
        positive = pos_weight * positive
    return target * positive + (1 - target) * negative
