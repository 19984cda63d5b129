"""Where audio holds a signal at all. Digital silence and a constant hold none, and no model is asked about them."""

import torch
import torch.nn.functional as F
from torch import Tensor

#: RMS around the mean below which a frame holds nothing, at full scale 1: -120 dB. One sample of 20 ms that differs by the
#: last of 16 bits is above; what a resampler or a codec makes of zeros is below.
SILENT_RMS = 1e-6


def sounding_frames(samples: Tensor, hop: int) -> Tensor:
    """Which frames (T,) of ``hop`` samples of a waveform (N,), N >= 1, hold a signal; NaN does, for it is an error.

    A last frame that is shorter may be too short to tell, and does where the one before it does.
    """
    padded = F.pad(samples[None, None], (0, -len(samples) % hop), mode="replicate")[0, 0].double()
    frames = padded.reshape(-1, hop)
    scale = frames.abs().amax(dim=1).clamp(min=1)  # beyond full scale float32 is as coarse as the samples are large
    sounding = ~(frames.var(dim=1, correction=0).sqrt() < SILENT_RMS * scale)
    if len(samples) % hop and len(sounding) > 1:
        sounding[-1] |= sounding[-2]
    return sounding


class SilenceCount:
    """How much of a recording that arrives in blocks (n,) holds no signal."""

    def __init__(self, hop: int) -> None:
        self._hop, self._kept = hop, torch.zeros(0)
        self._samples = 0

    def push(self, block: Tensor) -> None:
        """Take the next samples."""
        joined = torch.cat([self._kept, block])
        whole = max(len(joined) // self._hop - 1, 0) * self._hop  # the last frame may need the one before it
        self._count(joined[:whole])
        self._kept = joined[whole:]

    def finish(self) -> int:
        """Samples in frames without a signal, of the whole recording."""
        self._count(self._kept)
        self._kept = torch.zeros(0)
        return self._samples

    def _count(self, samples: Tensor) -> None:
        if len(samples):
            silent = ~sounding_frames(samples, self._hop)
            lengths = torch.full((len(silent),), self._hop)
            lengths[-1] = len(samples) - self._hop * (len(silent) - 1)
            self._samples += int(lengths[silent].sum())
