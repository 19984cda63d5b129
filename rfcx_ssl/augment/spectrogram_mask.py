"""Time and frequency masking of spectrograms (SpecAugment, Park et al. 2019, arXiv:1904.08779)."""

import torch
from torch import Generator, Tensor, nn

from rfcx_ssl.config import settings


@settings
class SpectrogramMaskSettings:
    """How much of a spectrogram is hidden."""

    p: float = 0.0
    time_masks: int = 2
    max_time_fraction: float = 0.05  # of all columns, for each mask; longer ones would hide whole calls
    frequency_masks: int = 2
    max_frequency_fraction: float = 0.1  # of all rows, for each mask

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")
        if self.time_masks < 0 or self.frequency_masks < 0:
            raise ValueError(f"time_masks={self.time_masks}, frequency_masks={self.frequency_masks}: need 0 or more")
        for name in ("max_time_fraction", "max_frequency_fraction"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}={getattr(self, name)} must lie in [0, 1]")


class SpectrogramMask(nn.Module):
    """Replace random bands of rows and columns by the clip's mean; identity in eval mode.

    For encoders that work on spectrograms: it sits behind the (log-)mel layer, inside the model. Every clip draws its
    own masks. Labels do not change, so keep time masks shorter than a call.
    """

    def __init__(self, config: SpectrogramMaskSettings) -> None:
        super().__init__()
        self.config = config

    def forward(self, spectrogram: Tensor, generator: Generator | None = None) -> Tensor:
        """(B, ..., F, M) -> the same shape: F rows of frequency, M columns of time."""
        if not self.training or self.config.p == 0:
            return spectrogram
        config, size, device = self.config, spectrogram.shape[0], spectrogram.device
        rows, columns = spectrogram.shape[-2:]
        draws = torch.rand(
            size, 1 + 2 * config.time_masks + 2 * config.frequency_masks, device=device, generator=generator
        )
        time = draws[:, 1 : 1 + 2 * config.time_masks]
        frequency = draws[:, 1 + 2 * config.time_masks :]
        hidden = _bands(time, columns, config.max_time_fraction)[:, None, :]
        hidden = hidden | _bands(frequency, rows, config.max_frequency_fraction)[:, :, None]
        hidden = hidden & (draws[:, 0] < config.p)[:, None, None]
        hidden = hidden.view(size, *(1,) * (spectrogram.dim() - 3), rows, columns)
        mean = spectrogram.mean(dim=tuple(range(1, spectrogram.dim())), keepdim=True)
        return torch.where(hidden, mean, spectrogram)


def _bands(draws: Tensor, length: int, max_fraction: float) -> Tensor:
    """(B, 2 * masks) uniform numbers -> (B, length) bool: the union of bands of random width and place."""
    width = draws[:, 0::2] * (max_fraction * length)
    start = (draws[:, 1::2] * (length - width)).floor()[:, :, None]
    place = torch.arange(length, device=draws.device)
    inside = (place >= start) & (place < start + width.floor()[:, :, None])
    return inside.any(1)
