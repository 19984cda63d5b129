"""Targets of the activity head: is any species calling in this frame?"""

import torch
from torch import Tensor

from rfcx_ssl.labels.batch import PRESENT


def activity_targets(
    target: Tensor, known: Tensor, *, silence_weight: float = 0.0, noise_output: int | None = None
) -> tuple[Tensor, Tensor]:
    """(B, T, K) three-state labels -> activity target and weight, both (B, T).

    Active: some output is known to be present; target and weight are those of the surest call, the one with the
    highest target times weight. Otherwise the frame is silent as far as its least known output is known to be absent;
    the target is then the highest of the (low) targets, the doubt that soft labels leave.

    Args:
        target: labels in [0, 1].
        known: their weights in [0, 1], 0 where unknown.
        silence_weight: weight of a frame without a known call even where outputs are unknown; 0 leaves it out.
        noise_output: output that means "no species here" and so says nothing of its own, or None.
    """
    if noise_output is not None:
        target, known = _without(target, noise_output), _without(known, noise_output)
    evidence = torch.where(target >= PRESENT, target * known, torch.zeros_like(target))
    strongest, call = evidence.max(dim=-1, keepdim=True)
    is_active = strongest.squeeze(-1) > 0
    weight = torch.where(is_active, known.gather(-1, call).squeeze(-1), known.amin(-1).clamp(min=silence_weight))
    return torch.where(is_active, target.gather(-1, call).squeeze(-1), target.amax(-1)), weight


def _without(values: Tensor, output: int) -> Tensor:
    """``values`` without one column of the last axis."""
    return torch.cat([values[..., :output], values[..., output + 1 :]], dim=-1)
