"""Random gain: recorders, distances and automatic levels differ."""

from torch import Generator, Tensor

from rfcx_ssl.augment.base import Draws, TransformSettings, decibel_gain, uniform
from rfcx_ssl.augment.factor import FactorAugmentation
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class GainSettings(TransformSettings):
    """Make each crop louder or softer."""

    min_db: float = -12.0
    max_db: float = 6.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.min_db <= self.max_db:
            raise ValueError(f"need min_db <= max_db, got {self.min_db} and {self.max_db}")


class GainAugmentation(FactorAugmentation):
    """Scale each crop by its own gain in dB; labels do not change."""

    def __init__(self, config: GainSettings) -> None:
        super().__init__(config.p)
        self.config = config

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Gain of each crop in dB."""
        return {"gain_db": uniform(count, batch, generator, self.config.min_db, self.config.max_db)}

    def factors(self, draws: Draws) -> Tensor:
        """From dB to amplitude."""
        return decibel_gain(draws["gain_db"])
