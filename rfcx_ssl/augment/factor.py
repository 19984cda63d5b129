"""Augmentations that multiply each crop by one number: in place, on the whole batch, which is the quickest way."""

from abc import abstractmethod

import torch
from torch import Tensor

from rfcx_ssl.augment.base import Augmentation, Draws
from rfcx_ssl.labels import Batch


class FactorAugmentation(Augmentation):
    """Multiply each chosen crop by its own factor; labels do not change."""

    changes_labels = False

    @abstractmethod
    def factors(self, draws: Draws) -> Tensor:
        """(R,) factors of the chosen crops."""

    def change(self, batch: Batch, draws: Draws) -> Batch:
        """Multiply ``batch.waveform`` in place, by 1 where a crop is not chosen."""
        every = torch.ones(batch.waveform.shape[0], device=batch.waveform.device)
        factors = self.factors(draws)
        if (active := draws.get("active")) is not None:
            factors = torch.where(active, factors, torch.ones_like(factors))
        batch.waveform.mul_(every.index_put_((draws["rows"],), factors)[:, None])
        return batch
