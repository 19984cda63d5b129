"""Background mixing: lay clips over unlabelled audio from the same kind of place."""

from pathlib import Path

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Augmentation, Draws, decibel_gain, power, uniform
from rfcx_ssl.augment.pool import load_pool
from rfcx_ssl.augment.states import States, union
from rfcx_ssl.config import settings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch


@settings
class BackgroundSettings:
    """Add a random piece of a pool of audio to a clip."""

    p: float = 0.0
    pool: Path | None = None  # folder written by `python -m rfcx_ssl.augment.pool_command`
    snr_min_db: float = 3.0  # clip power over background power
    snr_max_db: float = 20.0
    may_hold_calls: bool = True  # whether a species could call in the pool: then absent labels become unknown

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")
        if self.p > 0 and self.pool is None:
            raise ValueError(f"p={self.p} needs a pool of background audio: set pool=FOLDER")
        if not self.snr_min_db <= self.snr_max_db:
            raise ValueError(f"need snr_min_db <= snr_max_db, got {self.snr_min_db} and {self.snr_max_db}")


class BackgroundAugmentation(Augmentation):
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
        pool = load_pool(config.pool, grid.sample_rate_hz) if config.pool else torch.zeros(1, dtype=torch.int16)
        self.register_buffer("samples", pool, persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Place in the pool, as a fraction of it, and ratio in dB, of each clip."""
        return {
            "place": torch.rand(count, device=batch.waveform.device, dtype=torch.float64, generator=generator),
            "snr_db": uniform(count, batch, generator, self.config.snr_min_db, self.config.snr_max_db),
        }

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Cut, scale, add; forget what can no longer be vouched for."""
        waveform = part.waveform
        background = self._cut(draws["place"], waveform.shape[1])
        level = power(background)
        gain = (power(waveform) / level.clamp(min=1e-12)).sqrt() / decibel_gain(draws["snr_db"])
        gain = torch.where(level > 1e-12, gain, torch.zeros_like(gain))
        waveform.addcmul_(background, gain[:, None])
        if not self.config.may_hold_calls:
            return part
        frame = self._doubt(States(part.target, part.known))
        clip = self._doubt(States(part.clip_target, part.clip_known))
        return Batch(waveform, frame.target, frame.known, clip.target, clip.known, part.index)

    def _cut(self, place: Tensor, samples: int) -> Tensor:
        """(B,) -> (B, samples) float32 in [-1, 1]; a pool shorter than a clip is repeated."""
        pool = self.samples
        if pool.shape[0] < samples:
            pool = pool.repeat(-(-samples // pool.shape[0]))
        first = (place * (pool.shape[0] - samples + 1)).long()
        return pool.unfold(0, samples, 1).index_select(0, first).to(torch.float32) / 32768.0

    def _doubt(self, states: States) -> States:
        unknown = States(torch.zeros_like(states.target), torch.zeros_like(states.known))
        return union(states, unknown, self.noise_output)
