"""Polarity: a microphone wired the other way round hears the same forest."""

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

    moves_labels = False

    def __init__(self, config: PolaritySettings) -> None:
        super().__init__(config.p)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Nothing: every chosen clip turns."""
        return {}

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Multiply by -1."""
        return part._replace(waveform=part.waveform.neg_())
