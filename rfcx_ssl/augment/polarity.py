"""Polarity: a microphone wired the other way round hears the same forest."""

import torch
from torch import Generator

from rfcx_ssl.augment.base import Augmentation, Draws
from rfcx_ssl.config import settings
from rfcx_ssl.labels import Batch


@settings
class PolaritySettings:
    """Turn the sign of a clip."""

    p: float = 0.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")


class PolarityAugmentation(Augmentation):
    """Multiply the chosen clips by -1; labels do not change."""

    def __init__(self, config: PolaritySettings) -> None:
        super().__init__(config.p)

    def draw(self, batch: Batch, generator: Generator | None) -> Draws:
        """The clips to invert."""
        return {"chosen": self.coin(batch, generator)}

    def apply_draws(self, batch: Batch, draws: Draws) -> Batch:
        """Multiply by -1 or 1."""
        sign = 1.0 - 2.0 * draws["chosen"].to(torch.float32)
        return batch._replace(waveform=batch.waveform * sign[:, None])
