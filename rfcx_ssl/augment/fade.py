"""Gain fade: a bird that flies away, a shower that comes nearer."""

import torch
from torch import Generator

from rfcx_ssl.augment.base import Augmentation, Draws, decibel_gain, uniform
from rfcx_ssl.config import settings
from rfcx_ssl.labels import Batch


@settings
class FadeSettings:
    """Let the level of a clip move from one gain to another."""

    p: float = 0.0
    min_db: float = -12.0  # never silence: the call must stay audible
    max_db: float = 6.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")
        if not self.min_db <= self.max_db:
            raise ValueError(f"need min_db <= max_db, got {self.min_db} and {self.max_db}")


class FadeAugmentation(Augmentation):
    """Multiply each chosen clip by an amplitude that moves linearly between two random gains; labels stay."""

    def __init__(self, config: FadeSettings) -> None:
        super().__init__(config.p)
        self.config = config

    def draw(self, batch: Batch, generator: Generator | None) -> Draws:
        """Gain at the first and at the last sample of each clip, in dB; 0 where the clip is not chosen."""
        chosen = self.coin(batch, generator)
        start_db = uniform(batch, generator, self.config.min_db, self.config.max_db)
        stop_db = uniform(batch, generator, self.config.min_db, self.config.max_db)
        zero = torch.zeros_like(start_db)
        return {"start_db": torch.where(chosen, start_db, zero), "stop_db": torch.where(chosen, stop_db, zero)}

    def apply_draws(self, batch: Batch, draws: Draws) -> Batch:
        """Multiply by the ramp."""
        start, stop = decibel_gain(draws["start_db"])[:, None], decibel_gain(draws["stop_db"])[:, None]
        ramp = torch.linspace(0.0, 1.0, batch.waveform.shape[1], device=start.device)
        return batch._replace(waveform=torch.lerp(start, stop, ramp[None, :]).mul_(batch.waveform))
