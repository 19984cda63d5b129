"""Augmentations that add a sound at a ratio measured against the crop."""

from abc import abstractmethod

import torch
from torch import Tensor

from rfcx_ssl.augment.base import Augmentation, Draws, decibel_gain, power
from rfcx_ssl.labels import Batch

SILENCE = 1e-12  # mean square below which a sound counts as silent


class AddedSound(Augmentation):
    """Add a sound to each chosen crop, scaled so that crop power over sound power is exactly ``draws["snr_db"]``.

    Powers are mean squares of this very crop and this very sound. A silent crop stays silent, and a silent sound adds
    nothing.
    """

    @abstractmethod
    def sound(self, draws: Draws, samples: int) -> Tensor:
        """(R, samples) what to add, at any level; it may be overwritten."""

    def labels(self, batch: Batch, draws: Draws) -> Batch:
        """The batch with the labels that hold once the sound was added; the same ones by default."""
        return batch

    def change(self, batch: Batch, draws: Draws) -> Batch:
        """Scale the sound and add it to the chosen rows in place."""
        sound = self.sound(draws, batch.waveform.shape[1])
        level = power(sound)
        crop_level = power(batch.waveform).index_select(0, draws["rows"])
        gain = (crop_level / level.clamp(min=SILENCE)).sqrt() / decibel_gain(draws["snr_db"])
        audible = level > SILENCE if (active := draws.get("active")) is None else (level > SILENCE) & active
        gain = torch.where(audible, gain, torch.zeros_like(gain))
        batch.waveform.index_add_(0, draws["rows"], sound.mul_(gain[:, None]))
        return self.labels(batch, draws)
