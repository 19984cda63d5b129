"""Augmentations that take the chosen crops out of the batch, change them and put them back."""

from abc import abstractmethod

import torch
from torch import Tensor

from rfcx_ssl.augment.base import Augmentation, Draws
from rfcx_ssl.labels import Batch


class RowsAugmentation(Augmentation):
    """Change waveform and labels of chosen crops; only these are computed."""

    def change(self, batch: Batch, draws: Draws) -> Batch:
        """Take out, change, put back."""
        rows, active = draws["rows"], draws.get("active")
        part = Batch(*(field.index_select(0, rows) for field in batch))
        changed = self.change_rows(part, draws, batch)
        merged = [_merge(old, rows, new, active) for old, new in zip(batch, changed, strict=True)]
        batch.waveform.index_put_((rows,), merged[0])  # twice as fast as index_copy_
        labels = [old.index_copy(0, rows, new) for old, new in zip(batch[1:], merged[1:], strict=True)]
        return Batch(batch.waveform, *labels)

    @abstractmethod
    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """The change itself, without randomness.

        Args:
            part: The R chosen crops; its waveform may be overwritten.
            draws: What :meth:`draw` returned.
            whole: The batch they come from, for transforms that look at other crops; not to be changed.
        """


def _merge(old: Tensor, rows: Tensor, new: Tensor, active: Tensor | None) -> Tensor:
    """Rows to write: the new ones, or the old ones where a chosen crop is not active after all."""
    if active is None:
        return new
    return torch.where(active.view(-1, *(1,) * (new.dim() - 1)), new, old.index_select(0, rows))
