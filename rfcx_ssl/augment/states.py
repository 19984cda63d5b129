"""The algebra of three-state labels: what is known after two sounds, or two frames, become one.

A cell is *present* where ``known > 0`` and ``target >= 0.5``, *absent* where ``known > 0`` and ``target < 0.5``, and
*unknown* where ``known == 0`` (its target is then 0). The noise output means "no species here", so it obeys the same
rules with present and absent exchanged: a mixture is noise only where both parts are.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from rfcx_ssl.labels.batch import PRESENT


class States(NamedTuple):
    """Labels of any shape whose last axis is K: ``target`` and ``known``, both in [0, 1]."""

    target: Tensor
    known: Tensor


def presence(states: States) -> Tensor:
    """Bool: the cells that are known to be present (an unknown cell has target 0)."""
    return states.target >= PRESENT


def union(first: States, second: States, noise_output: int | None = None) -> States:
    """Both sounds are heard: present if either is, absent if both are, otherwise unknown.

    Soft targets combine as independent probabilities, ``1 - (1 - a)(1 - b)``. The weight of a cell is that of the less
    certain part, or of a part that alone proves presence.
    """
    first, second = _flip(first, noise_output), _flip(second, noise_output)
    known = _kept_weight(first, second)
    target = 1.0 - (1.0 - first.target) * (1.0 - second.target)
    return _flip(States(_where_known(target, known), known), noise_output)


def blend(first: States, second: States, share: Tensor, noise_output: int | None = None) -> States:
    """Linear mixing: cells are kept by the rule of :func:`union`, targets average by ``share`` of the first sound.

    Where only one part is known (present, by the rule), it speaks with its share as its weight: the cross-entropy of
    the result is the share-weighted sum of the parts' own cross-entropies over what each of them knows.

    Args:
        first: Labels of the sound with amplitude share ``share``.
        second: Labels of the sound with share ``1 - share``.
        share: In [0, 1], broadcast against the labels.
        noise_output: Index of the noise output on the last axis, or None.
    """
    kept = _kept_weight(_flip(first, noise_output), _flip(second, noise_output)) > 0
    first_weight, second_weight = share * first.known, (1.0 - share) * second.known
    weight = first_weight + second_weight
    target = (first_weight * first.target + second_weight * second.target) / weight.clamp(min=1e-12)
    known = torch.where(kept, weight, torch.zeros_like(weight))
    return States(_where_known(target, known), known)


def select(chosen: Tensor, changed: States, original: States) -> States:
    """``changed`` for the crops where ``chosen`` (B,), ``original`` elsewhere."""
    mask = chosen.view(-1, *(1,) * (original.target.dim() - 1))
    return States(torch.where(mask, changed.target, original.target), torch.where(mask, changed.known, original.known))


def forget(states: States, lost: Tensor) -> States:
    """Make the cells where ``lost`` (bool, broadcast) unknown."""
    zero = torch.zeros_like(states.target)
    return States(torch.where(lost, zero, states.target), torch.where(lost, zero, states.known))


def clip_after_loss(clip: States, before: Tensor, after: Tensor, left: Tensor, coverage: float) -> States:
    """Clip labels once some call frames may have left the crop.

    A present clip label stays if at least ``coverage`` of its call frames is still there; otherwise it is unknown. A
    present label without any call frame is a tag: its call may be anywhere in the crop, so that its weight shrinks to
    the share of the crop that is still there. Absent stays absent.

    Args:
        clip: (B, K) clip labels before the change.
        before: (B, K) number of present frames before it.
        after: (B, K) number of present frames after it, in the same unit.
        left: (B,) share of each crop's time that is still heard, in [0, 1].
        coverage: Share of the call frames that must remain, in (0, 1].
    """
    is_tag = presence(clip) & (before == 0)
    lost = presence(clip) & ~is_tag & (after < coverage * before)
    known = torch.where(is_tag, clip.known * left[:, None], clip.known)
    return forget(States(_where_known(clip.target, known), known), lost)


def _kept_weight(first: States, second: States) -> Tensor:
    """Weight of each cell of a mixture; 0 where it is unknown."""
    zero = torch.zeros_like(first.known)
    proof = torch.maximum(
        torch.where(presence(first), first.known, zero), torch.where(presence(second), second.known, zero)
    )
    return torch.maximum(proof, torch.minimum(first.known, second.known))


def _where_known(target: Tensor, known: Tensor) -> Tensor:
    return torch.where(known > 0, target, torch.zeros_like(target))


def _flip(states: States, noise_output: int | None) -> States:
    """Exchange present and absent in the noise column, so that one rule serves all columns."""
    if noise_output is None:
        return states
    column = torch.arange(states.target.shape[-1], device=states.target.device) == noise_output
    flipped = _where_known(1.0 - states.target, states.known)
    return States(torch.where(column, flipped, states.target), states.known)
