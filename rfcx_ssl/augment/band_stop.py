"""Band-stop filter: remove a random band, and forget the species that lived in it."""

import math

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Draws, TransformSettings, uniform
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.states import States, forget
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings
from rfcx_ssl.species.space import LabelSpace


@settings
class BandStopSettings(TransformSettings):
    """Remove a band of frequencies from a crop."""

    center_min_hz: float = 200.0
    center_max_hz: float = 14_000.0
    width_min_octaves: float = 0.1
    width_max_octaves: float = 0.7
    max_loss: float = 0.3  # share of a species' band that may go before its labels become unknown

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.0 < self.center_min_hz <= self.center_max_hz:
            raise ValueError(
                f"need 0 < center_min_hz <= center_max_hz, got {self.center_min_hz} and {self.center_max_hz}"
            )
        if not 0.0 < self.width_min_octaves <= self.width_max_octaves:
            raise ValueError(
                f"need 0 < width_min_octaves <= width_max_octaves, got {self.width_min_octaves} and "
                f"{self.width_max_octaves}"
            )
        if not 0.0 <= self.max_loss < 1.0:
            raise ValueError(f"max_loss={self.max_loss} must lie in [0, 1)")


class BandStopAugmentation(RowsAugmentation):
    """Zero-phase filter in the frequency domain; raised-cosine edges of a tenth of the band's width on either side.

    Where more than ``max_loss`` of a species' band was removed, all its labels in the crop, present or absent, of frames
    or of the whole, become unknown: nobody could hear it there. The noise output has no band and keeps its labels.
    """

    low_hz: Tensor
    high_hz: Tensor

    def __init__(self, config: BandStopSettings, grid: FrameGrid, space: LabelSpace) -> None:
        super().__init__(config.p)
        self.config = config
        self.sample_rate_hz = grid.sample_rate_hz
        bands = torch.tensor(output_bands_hz(space), dtype=torch.float32)
        self.register_buffer("low_hz", bands[:, 0], persistent=False)
        self.register_buffer("high_hz", bands[:, 1], persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Lower and upper end of each crop's band in Hz; center and width are uniform in octaves."""
        config = self.config
        center = torch.exp2(
            uniform(count, batch, generator, math.log2(config.center_min_hz), math.log2(config.center_max_hz))
        )
        half_width = torch.exp2(
            0.5 * uniform(count, batch, generator, config.width_min_octaves, config.width_max_octaves)
        )
        return {
            "low_hz": center / half_width,
            "high_hz": center * half_width,
        }

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Filter, then forget."""
        low, high = draws["low_hz"][:, None], draws["high_hz"][:, None]
        samples = part.waveform.shape[1]
        waveform = torch.fft.irfft(torch.fft.rfft(part.waveform) * self._gain(samples, low, high), n=samples)
        overlap = (torch.minimum(high, self.high_hz) - torch.maximum(low, self.low_hz)).clamp(min=0.0)
        lost = overlap > self.config.max_loss * (self.high_hz - self.low_hz)
        frame = forget(States(part.target, part.known), lost[:, None, :])
        clip = forget(States(part.clip_target, part.clip_known), lost)
        return Batch(waveform, frame.target, frame.known, clip.target, clip.known, part.index)

    def _gain(self, samples: int, low: Tensor, high: Tensor) -> Tensor:
        """(B, N // 2 + 1): 0 inside the band, 1 outside, half way at its ends."""
        bins = torch.arange(samples // 2 + 1, device=low.device, dtype=torch.float32)
        frequency = (bins * (self.sample_rate_hz / samples))[None, :]
        edge = 0.1 * (high - low)
        depth = torch.minimum(frequency - low, high - frequency) / edge  # -0.5 and less outside, 0.5 and more inside
        return 0.5 - 0.5 * torch.sin(math.pi * depth.clamp(-0.5, 0.5))


def output_bands_hz(space: LabelSpace) -> list[tuple[float, float]]:
    """Band of each output, over the song types it stands for; endless for the noise output.

    Raises:
        ConfigError: a species of the label space has no known band.
    """
    bands: list[tuple[float, float]] = []
    for name, species, song in zip(space.output_names, space.output_species, space.output_songtype, strict=True):
        if species < 0:
            bands.append((0.0, math.inf))
            continue
        band_hz = space.species.band_hz(species, song)
        if band_hz is None:
            raise ConfigError(
                f"augment.band_stop: output {name} ({space.species_names[species]}) has no known frequency band; set it to null"
            )
        bands.append(band_hz)
    return bands
