"""Polarity: a microphone wired the other way round hears the same forest."""

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Draws, TransformSettings
from rfcx_ssl.augment.factor import FactorAugmentation
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class PolaritySettings(TransformSettings):
    """Turn the sign of a crop."""


class PolarityAugmentation(FactorAugmentation):
    """Multiply the chosen crops by -1; labels do not change."""

    def __init__(self, config: PolaritySettings) -> None:
        super().__init__(config.p)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Nothing: every chosen crop turns."""
        return {}

    def factors(self, draws: Draws) -> Tensor:
        """-1 for every chosen crop."""
        return -torch.ones(draws["rows"].shape, device=draws["rows"].device)
