"""How much each part of a global batch counts, so that any split of it gives the gradient of the whole.

Every loss term is a weighted mean, ``sum(values) / mass``. Over parts of a batch, the mean of the whole is the sum of
the parts' terms, each times its share of the mass.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.activity import activity_targets
from rfcx_ssl.losses.sed import SedLoss
from rfcx_ssl.losses.weights import box_weights, cell_weights

Masses = dict[str, Tensor]


@runtime_checkable
class HasMasses(Protocol):
    """A loss of its own making that says what it divides each of its terms by."""

    def masses(self, batch: Batch) -> Masses:
        """Denominator (a scalar) of every term on ``batch``, under the terms' names."""
        ...


def masses_of(loss: Callable[..., object], batch: Batch) -> Masses:
    """Denominators of all terms of ``loss`` on ``batch``, by name, in a fixed order."""
    if isinstance(loss, HasMasses):
        return loss.masses(batch)
    if isinstance(loss, SedLoss):
        return _sed_masses(loss, batch)
    raise TypeError(f"{type(loss).__name__} needs a method masses(batch)")


def _sed_masses(loss: SedLoss, batch: Batch) -> Masses:
    s = loss.settings
    clip = cell_weights(batch.clip_known, s.unknown_weight)
    present = clip * batch.clip_target
    masses: Masses = {}
    if s.clip_ratio < 1:
        by_box = s.weighting == "box"
        frame = (
            box_weights(batch.target, batch.known, s.unknown_weight)
            if by_box
            else cell_weights(batch.known, s.unknown_weight)
        )
        masses["frame"] = frame.sum()
    if s.clip_ratio > 0:
        masses["clip"] = clip.sum()
    if s.activity_weight:
        masses["activity"] = activity_targets(batch.target, batch.known)[1].sum()
    if s.lsep_weight:
        absent = clip * (1 - batch.clip_target)
        masses["lsep"] = ((present.sum(1) > 0) & (absent.sum(1) > 0)).sum()
    if s.lwlrap_weight:
        masses["lwlrap"] = present.sum()
    if loss.center is not None:
        masses["center"] = (batch.clip_target * batch.clip_known).sum()
    return masses


def stack_masses(masses: Masses) -> Tensor:
    """(terms,) float32 in the order of ``masses``."""
    return torch.stack([mass.detach().float() for mass in masses.values()])
