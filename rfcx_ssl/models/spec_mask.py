"""SpecAugment stripes on a log-mel spectrogram (Park et al. 2019), drawn per clip without a loop over clips."""

import torch
from torch import Tensor, nn

from rfcx_ssl.settings import settings


@settings
class StripeSettings:
    """Stripes over one axis. The published PANNs use 2 of up to 64 frames and 2 of up to 8 bands; wide stripes can erase
    a whole narrow-band call.
    """

    widest: int  # mel frames or bands
    number: int = 2

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if self.widest < 1 or self.number < 1:
            raise ValueError(f"widest={self.widest} and number={self.number} must be 1 or more; null masks nothing")


class SpecMask(nn.Module):
    """(B, C, M, F) -> the same with stripes set to 0 (the mean, after ``bn0``); identity in evaluation mode."""

    def __init__(self, time: StripeSettings | None, freq: StripeSettings | None) -> None:
        super().__init__()
        self.time, self.freq = time, freq

    def forward(self, x: Tensor) -> Tensor:
        """Each stripe has a uniform width in [0, widest) and a uniform place, as in torchlibrosa."""
        if not self.training:
            return x
        if self.time is not None:
            x = x * ~stripes(x.shape[0], x.shape[2], self.time.widest, self.time.number, x.device)[:, None, :, None]
        if self.freq is not None:
            x = x * ~stripes(x.shape[0], x.shape[3], self.freq.widest, self.freq.number, x.device)[:, None, None, :]
        return x


def stripes(batch: int, size: int, widest: int, number: int, device: torch.device) -> Tensor:
    """(batch, size) mask, true inside any of ``number`` random stripes narrower than ``widest``."""
    draw = torch.rand(2, batch, number, 1, device=device)
    width = (draw[0] * min(widest, size)).floor()
    start = (draw[1] * (size - width)).floor()
    place = torch.arange(size, device=device)
    return ((place >= start) & (place < start + width)).any(dim=1)
