"""Ranking losses over the clip outputs of a crop; unknown outputs take part only as far as they weigh."""

import torch
import torch.nn.functional as F
from torch import Tensor


def lsep(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Log-sum-exp pairwise loss (Li et al. 2017, arXiv:1704.03135, equation 4), mean over :func:`rankable` crops.

    ``log(1 + sum over (absent j, present i) of w_j w_i exp(z_j - z_i))``; all (B, K), ``target`` may be soft: an
    output is present with weight ``w * y`` and absent with weight ``w * (1 - y)``.
    """
    positive = _log_weight(weight * target)
    negative = _log_weight(weight * (1 - target))
    pairs = torch.logsumexp(negative + logits, 1) + torch.logsumexp(positive - logits, 1)
    has_both = rankable(target, weight)
    values = torch.where(has_both, F.softplus(torch.where(has_both, pairs, torch.zeros_like(pairs))), 0.0)
    return values.sum() / has_both.sum().clamp(min=1)


def rankable(target: Tensor, weight: Tensor) -> Tensor:
    """(B,) bool: crops with something present to rank above something absent; all (B, K)."""
    return ((weight * target).sum(1) > 0) & ((weight * (1 - target)).sum(1) > 0)


def soft_lwlrap(logits: Tensor, target: Tensor, weight: Tensor, temperature: float = 1.0) -> Tensor:
    """A differentiable LWLRAP in (0, 1] of a batch: the step "ranked above" becomes a sigmoid of the difference.

    For a present output i, precision is (1 + soft number of present outputs above i) / (1 + soft number of all
    outputs above i); the mean is over all present outputs, as LWLRAP weights labels equally. All (B, K). Tends to the
    true LWLRAP on the weighted outputs as ``temperature`` goes to 0. 1 where nothing is present.
    """
    above = torch.sigmoid((logits[:, None, :] - logits[:, :, None]) / temperature)  # [b, i, j]: j above i
    above = above * (1 - torch.eye(logits.shape[1], device=logits.device, dtype=logits.dtype))
    present = weight * target
    hits = 1 + (above * present[:, None, :]).sum(2)
    rank = 1 + (above * weight[:, None, :]).sum(2)
    total = present.sum()
    mean = (present * hits / rank).sum() / torch.where(total > 0, total, torch.ones_like(total))
    return torch.where(total > 0, mean, torch.ones_like(mean))


def _log_weight(weight: Tensor) -> Tensor:
    """log(weight) with a large finite negative for 0, so that gradients stay finite."""
    tiny = torch.finfo(weight.dtype).tiny
    return torch.where(weight > 0, weight.clamp(min=tiny).log(), torch.full_like(weight, -1e4))
