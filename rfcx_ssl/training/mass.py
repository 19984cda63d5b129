"""How much each part of a global batch counts, so that any split of it gives the gradient of the whole.

Every loss term is a weighted mean, ``sum(values) / mass``. Over parts of a batch, the mean of the whole is the sum of
the parts' terms, each times its share of the mass.
"""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from rfcx_ssl.labels import Lesson

Masses = dict[str, Tensor]


@runtime_checkable
class HasMasses(Protocol):
    """A loss that says what it divides each of its terms by: ours, or one of your own making."""

    def masses(self, batch: Lesson) -> Masses:
        """Denominator (a scalar) of every term on ``batch``, under the terms' names."""
        ...


def masses_of(loss: Callable[..., object], batch: Lesson) -> Masses:
    """Denominators of all terms of ``loss`` on ``batch``, by name, in a fixed order."""
    if not isinstance(loss, HasMasses):
        raise TypeError(f"{type(loss).__name__} needs a method masses(batch)")
    return loss.masses(batch)


def stack_masses(masses: Masses) -> Tensor:
    """(terms,) float32 in the order of ``masses``."""
    return torch.stack([mass.detach().float() for mass in masses.values()])
