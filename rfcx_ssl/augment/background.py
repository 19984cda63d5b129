"""Background mixing: lay crops over unlabelled audio from the same kind of place."""

from pathlib import Path

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.added import AddedSound
from rfcx_ssl.augment.base import Draws, TransformSettings, uniform
from rfcx_ssl.augment.pool import load_pool
from rfcx_ssl.augment.states import States, select, union
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class BackgroundSettings(TransformSettings):
    """Add a random piece of a pool of audio to a crop."""

    pool: Path  # folder written by `rfcx-ssl background-pool`
    snr_min_db: float = 3.0  # crop power over background power
    snr_max_db: float = 20.0
    may_hold_calls: bool = True  # whether a species could call in the pool: then absent labels become unknown

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.snr_min_db <= self.snr_max_db:
            raise ValueError(f"need snr_min_db <= snr_max_db, got {self.snr_min_db} and {self.snr_max_db}")


class BackgroundAugmentation(AddedSound):
    """Add a piece of the pool at an exact ratio of mean squares.

    The pool is one long int16 tensor, mapped from its file when the module is built; on a GPU it is copied there with
    the module. A silent piece of the pool adds nothing. Unlabelled audio may hold any species: a present label stays,
    an absent one becomes unknown, unless the pool is declared free of calls.
    """

    samples: Tensor

    def __init__(self, config: BackgroundSettings, grid: FrameGrid, noise_output: int | None = None) -> None:
        super().__init__(config.p)
        self.config = config
        self.noise_output = noise_output
        self.register_buffer("samples", load_pool(config.pool, grid.sample_rate_hz), persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Place in the pool, as a fraction of it, and ratio in dB, of each crop."""
        return {
            "place": torch.rand(count, device=batch.waveform.device, dtype=torch.float64, generator=generator),
            "snr_db": uniform(count, batch, generator, self.config.snr_min_db, self.config.snr_max_db),
        }

    def sound(self, draws: Draws, samples: int) -> Tensor:
        """(R, samples) pieces in [-1, 1]; a pool shorter than a crop is repeated."""
        pool = self.samples
        if pool.shape[0] < samples:
            pool = pool.repeat(-(-samples // pool.shape[0]))
        first = (draws["place"] * (pool.shape[0] - samples + 1)).long()
        return pool.unfold(0, samples, 1).index_select(0, first).to(torch.float32) / 32768.0

    def labels(self, batch: Batch, draws: Draws) -> Batch:
        """Forget what nobody can vouch for any more: the absent labels of the chosen crops."""
        if not self.config.may_hold_calls:
            return batch
        doubt = torch.zeros(batch.waveform.shape[0], dtype=torch.bool, device=batch.waveform.device)
        active = draws.get("active", torch.ones_like(draws["rows"], dtype=torch.bool))
        doubt = doubt.index_put_((draws["rows"],), active)
        frame = self._doubt(States(batch.target, batch.known), doubt)
        clip = self._doubt(States(batch.clip_target, batch.clip_known), doubt)
        return Batch(batch.waveform, frame.target, frame.known, clip.target, clip.known, batch.index)

    def _doubt(self, states: States, doubt: Tensor) -> States:
        unknown = States(torch.zeros_like(states.target), torch.zeros_like(states.known))
        return select(doubt, union(states, unknown, self.noise_output), states)
