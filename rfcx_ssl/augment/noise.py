"""Colored noise, shaped in the frequency domain, at a signal-to-noise ratio measured against the crop."""

from dataclasses import field
from typing import Literal

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.added import AddedSound
from rfcx_ssl.augment.base import Draws, TransformSettings, uniform
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings

Color = Literal["white", "pink", "brown", "blue", "violet"]

# Power falls as 1 / f ** exponent.
EXPONENTS: dict[str, float] = {"white": 0.0, "pink": 1.0, "brown": 2.0, "blue": -1.0, "violet": -2.0}


@settings
class ColoredNoiseSettings(TransformSettings):
    """Noise of a color drawn for each crop."""

    colors: tuple[Color, ...] = ("white", "brown", "blue")
    snr_min_db: float = 5.0  # crop power over noise power
    snr_max_db: float = 30.0
    f_min_hz: float = 20.0  # no noise below: brown noise would else put its power where nobody listens

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.colors:
            raise ValueError("colors must name at least one color")
        if not self.snr_min_db <= self.snr_max_db:
            raise ValueError(f"need snr_min_db <= snr_max_db, got {self.snr_min_db} and {self.snr_max_db}")
        if self.f_min_hz < 0:
            raise ValueError(f"f_min_hz={self.f_min_hz} must not be negative")


@settings
class PinkNoiseSettings(ColoredNoiseSettings):
    """Colored noise that is pink unless told otherwise."""

    colors: tuple[Color, ...] = field(default=("pink",))


class ColoredNoiseAugmentation(AddedSound):
    """Add noise whose power falls as ``1 / f ** exponent``.

    Its spectrum is uniformly random; a sample sums many independent parts of it and is Gaussian, but for brown noise
    without ``f_min_hz``, which is little more than its lowest part.
    The ratio is exact: the power of this very noise is scaled against the mean square of this very crop, so a silent
    crop stays silent. Labels do not change.
    """

    exponents: Tensor
    changes_labels = False

    def __init__(self, config: ColoredNoiseSettings, grid: FrameGrid) -> None:
        super().__init__(config.p)
        if config.f_min_hz >= grid.sample_rate_hz / 2:
            raise ValueError(f"f_min_hz={config.f_min_hz} must be below half of {grid.sample_rate_hz} Hz")
        self.sample_rate_hz = grid.sample_rate_hz
        self.config = config
        table = torch.tensor([EXPONENTS[color] for color in config.colors], dtype=torch.float32)
        self.register_buffer("exponents", table, persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Ratio of each crop, and the spectrum of its noise in a color of its own, (R, N // 2 + 1, 2)."""
        samples, device = batch.waveform.shape[1], batch.waveform.device
        color = torch.randint(len(self.config.colors), (count,), device=device, generator=generator)
        spectrum = random_bytes(count, 2 * (samples // 2 + 1), device, generator).view(count, -1, 2)
        torch.view_as_complex(spectrum).mul_(self._shape(samples, color))  # 5 times faster than mul with [:, :, None]
        return {
            "snr_db": uniform(count, batch, generator, self.config.snr_min_db, self.config.snr_max_db),
            "color": color,
            "spectrum": spectrum,
        }

    def sound(self, draws: Draws, samples: int) -> Tensor:
        """The noise in the time domain."""
        noise: Tensor = torch.fft.irfft(torch.view_as_complex(draws["spectrum"]), n=samples, norm="ortho")
        return noise

    def _shape(self, samples: int, color: Tensor) -> Tensor:
        """(R or 1, N // 2 + 1) amplitude of each frequency; zero below ``f_min_hz`` and at 0 Hz."""
        bins = torch.arange(samples // 2 + 1, device=color.device, dtype=torch.float32)
        lowest = max(1.0, self.config.f_min_hz * samples / self.sample_rate_hz)
        amplitude = torch.pow((bins.clamp(min=1.0) / lowest)[None, :], -0.5 * self.exponents[:, None])
        amplitude = torch.where(bins >= lowest, amplitude, torch.zeros_like(amplitude))
        return amplitude if len(self.config.colors) == 1 else amplitude.index_select(0, color)


def random_bytes(rows: int, columns: int, device: torch.device, generator: Generator | None) -> Tensor:
    """(rows, columns) float32, uniform over -127.5, -126.5 ... 127.5: on CPU three times faster than normal numbers."""
    words = torch.empty(rows, -(-columns // 8), dtype=torch.int64, device=device)
    words.random_(-(2**63), None, generator=generator)  # all 64 bits
    return words.view(torch.int8)[:, :columns].float().add_(0.5)
