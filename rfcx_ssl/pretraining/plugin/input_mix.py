"""Another crop beneath the transformer's input, while what it has to predict stays the clean crop.

Denoising by masked prediction as in WavLM (Chen et al. 2022, section III-B, arXiv:2110.13900), with the batch itself as the
source of what is mixed in.
"""

import torch
from torch import Tensor, nn

from rfcx_ssl.settings import settings


@settings
class InputMixSettings:
    """How often, and how loud the crop is against what is mixed into it."""

    p: float = 0.5  # share of the crops
    snr_low_db: float = 0.0
    snr_high_db: float = 15.0

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if not 0 < self.p <= 1:
            raise ValueError(f"p={self.p} must be above 0 and at most 1")
        if self.snr_low_db > self.snr_high_db:
            raise ValueError(f"snr_low_db={self.snr_low_db} must not be above snr_high_db={self.snr_high_db}")


class InputMix(nn.Module):
    """Waveforms (B, N) -> (B, N): a share ``p`` of the rows with another row of the batch added at a random ratio.

    The ratio of powers, in dB, is uniform between the two limits. A batch of one row stays as it is, as does a row that
    meets silence or is silent.
    """

    def __init__(self, config: InputMixSettings) -> None:
        super().__init__()
        self.config = config

    def forward(self, waveform: Tensor) -> Tensor:
        """Draws from torch's generator, which fairseq seeds at every update."""
        rows = waveform.shape[0]
        if rows == 1:
            return waveform
        shift = torch.randint(1, rows, ()).item()
        other = waveform.roll(int(shift), dims=0)
        low, high = self.config.snr_low_db, self.config.snr_high_db
        snr_db = low + (high - low) * torch.rand(rows, 1, device=waveform.device)
        power, other_power = (sound.float().square().mean(dim=1, keepdim=True) for sound in (waveform, other))
        gain = torch.sqrt(power / other_power.clamp(min=1e-12) / 10 ** (snr_db / 10))
        chosen = torch.rand(rows, 1, device=waveform.device) < self.config.p
        return waveform + (gain * chosen).to(waveform.dtype) * other
