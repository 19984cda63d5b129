"""SpecAugment stripes on a log-mel spectrogram (Park et al. 2019), drawn per clip without a loop over clips."""

import torch
from torch import Tensor, nn

from rfcx_ssl.settings import settings


@settings
class SpecMaskSettings:
    """Widest stripe and number of stripes on each axis; a width of 0 masks nothing.

    The published PANNs use 64 frames and 8 bands, 2 stripes each. Wide stripes can erase a whole narrow-band call.
    """

    time_frames: int = 0
    time_stripes: int = 2
    freq_bands: int = 0
    freq_stripes: int = 2

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if min(self.time_frames, self.time_stripes, self.freq_bands, self.freq_stripes) < 0:
            raise ValueError(f"no field may be negative, got {self}")


class SpecMask(nn.Module):
    """(B, C, M, F) -> the same with stripes set to 0 (the mean, after ``bn0``); identity in evaluation mode."""

    def __init__(self, settings: SpecMaskSettings) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, x: Tensor) -> Tensor:
        """Each stripe has a uniform width in [0, widest) and a uniform place, as in torchlibrosa."""
        s = self.settings
        if not self.training:
            return x
        if s.time_frames and s.time_stripes:
            x = x * ~stripes(x.shape[0], x.shape[2], s.time_frames, s.time_stripes, x.device)[:, None, :, None]
        if s.freq_bands and s.freq_stripes:
            x = x * ~stripes(x.shape[0], x.shape[3], s.freq_bands, s.freq_stripes, x.device)[:, None, None, :]
        return x


def stripes(batch: int, size: int, widest: int, number: int, device: torch.device) -> Tensor:
    """(batch, size) mask, true inside any of ``number`` random stripes narrower than ``widest``."""
    draw = torch.rand(2, batch, number, 1, device=device)
    width = (draw[0] * min(widest, size)).floor()
    start = (draw[1] * (size - width)).floor()
    place = torch.arange(size, device=device)
    return ((place >= start) & (place < start + width)).any(dim=1)
