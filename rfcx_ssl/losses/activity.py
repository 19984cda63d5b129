"""Targets of the activity head: is any species calling in this frame?"""

import torch
from torch import Tensor


def activity_targets(target: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
    """(B, T, K) three-state labels -> activity target and weight, both (B, T).

    Any known presence makes a frame active, weighted as that presence is. A frame is known to be silent only where
    every output is known to be absent; then its weight is the smallest of theirs. All else is unknown.
    """
    present = target * known
    active = present.amax(dim=-1)
    silent_weight = known.amin(dim=-1)
    weight = torch.where(active > 0, known.gather(-1, present.argmax(-1, keepdim=True)).squeeze(-1), silent_weight)
    return (target * (known > 0)).amax(dim=-1), weight
