"""Gain fade: a bird that flies away, a shower that comes nearer."""

import torch
from torch import Generator

from rfcx_ssl.augment.base import Draws, decibel_gain, uniform
from rfcx_ssl.augment.gain import GainSettings
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class FadeSettings(GainSettings):
    """Let the level of a crop move from one gain to another; never to silence, the call must stay audible."""


class FadeAugmentation(RowsAugmentation):
    """Multiply each chosen crop by an amplitude that moves linearly between two random gains; labels stay."""

    changes_labels = False

    def __init__(self, config: FadeSettings) -> None:
        super().__init__(config.p)
        self.config = config

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Gain at the first and at the last sample of each crop, in dB."""
        return {
            "start_db": uniform(count, batch, generator, self.config.min_db, self.config.max_db),
            "stop_db": uniform(count, batch, generator, self.config.min_db, self.config.max_db),
        }

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Multiply by the ramp."""
        start, stop = decibel_gain(draws["start_db"])[:, None], decibel_gain(draws["stop_db"])[:, None]
        ramp = torch.linspace(0.0, 1.0, part.waveform.shape[1], device=start.device)
        return part._replace(waveform=part.waveform.mul_(torch.lerp(start, stop, ramp[None, :])))
