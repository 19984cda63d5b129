"""How much each cell of a three-state label counts."""

import torch
from torch import Tensor


def cell_weights(known: Tensor, unknown_weight: float) -> Tensor:
    """Known cells weigh what ``known`` says, each unknown cell ``unknown_weight``. Any shape."""
    return torch.where(known > 0, known, torch.full_like(known, unknown_weight))


def box_weights(target: Tensor, known: Tensor, unknown_weight: float) -> Tensor:
    """Weights (B, T, K) by which every box counts the same, however long it is.

    A box is a run of known cells over time with one target. Its cells weigh ``known`` / (cells in the run), so a
    fully known box weighs 1 in total; the unknown cells of one crop and output weigh ``unknown_weight`` in total.
    """
    is_known = known > 0
    weights = known / run_lengths(target, is_known)
    if unknown_weight == 0:
        return torch.where(is_known, weights, torch.zeros_like(weights))
    num_unknown = (~is_known).sum(dim=1, keepdim=True).clamp(min=1)
    return torch.where(is_known, weights, unknown_weight / num_unknown.to(weights.dtype))


def run_lengths(target: Tensor, is_known: Tensor) -> Tensor:
    """Length over time (dim 1) of the run each cell of (B, T, K) belongs to, as float, without a loop."""
    changed = torch.zeros_like(is_known)
    changed[:, 1:] = (is_known[:, 1:] != is_known[:, :-1]) | (target[:, 1:] != target[:, :-1])
    run = changed.cumsum(dim=1)  # number of the run, 0-based
    sizes = torch.zeros_like(target).scatter_add(1, run, torch.ones_like(target))
    return sizes.gather(1, run)


def weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    """Sum of weighted values over the sum of weights; 0 (with a gradient of 0) where nothing counts."""
    total = weights.sum()
    return (values * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))
