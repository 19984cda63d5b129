"""Log-mel front-end of the spectrogram encoders, numerically that of PANNs (torchlibrosa), by FFT."""

import logging
import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.settings import settings

logger = logging.getLogger(__name__)

POWER_FLOOR = 1e-10  # amin of the published log-mel
_LOG_STEP = math.log(6.4) / 27  # of the mel scale above 1 kHz


@settings
class MelSettings:
    """Slaney mel bands of the power spectrogram (Hann window), in dB: 10 log10(max(power, 1e-10)), no top_db."""

    n_fft: int = 1024
    hop_samples: int = 320
    n_mels: int = 64
    f_min_hz: float = 50.0
    f_max_hz: float = 14000.0
    alignment: Literal["frame", "center"] = "frame"  # "center": as published, half a mel hop early

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if not 0 <= self.f_min_hz < self.f_max_hz:
            raise ValueError(f"need 0 <= f_min_hz < f_max_hz, got {self.f_min_hz} and {self.f_max_hz}")
        if not 1 <= self.hop_samples <= self.n_fft or self.n_mels < 1:
            raise ValueError(f"need 1 <= hop_samples <= n_fft and n_mels >= 1, got {self}")
        if self.n_fft > 2**15 or self.n_mels > 2**10:
            raise ValueError(f"need n_fft <= 2^15 and n_mels <= 2^10, got {self.n_fft} and {self.n_mels}")


def add_frequency_channel(x: Tensor) -> Tensor:
    """(B, C, M, F) -> (B, C + 1, M, F): a channel that says which band a cell is, -1 (lowest) to 1.

    Convolution and the mean over frequency cannot tell a low call from a high one of the same shape; this can.
    """
    place = torch.linspace(-1, 1, x.shape[3], device=x.device, dtype=x.dtype)
    return torch.cat([x, place.expand(x.shape[0], 1, x.shape[2], -1)], dim=1)


def mel_filters(settings: MelSettings, sample_rate_hz: int) -> Tensor:
    """Triangles of unit area in Hz on Slaney's mel scale, (n_fft // 2 + 1, n_mels), as librosa makes them.

    On the CPU even inside a meta-device context.
    """
    with torch.device("cpu"):
        bins_hz = torch.arange(settings.n_fft // 2 + 1, dtype=torch.float64) * sample_rate_hz / settings.n_fft
        lowest, highest = _hz_to_mel(settings.f_min_hz), _hz_to_mel(settings.f_max_hz)
        edges_hz = _mel_to_hz(torch.linspace(lowest, highest, settings.n_mels + 2, dtype=torch.float64))
        low, middle, high = edges_hz[:-2], edges_hz[1:-1], edges_hz[2:]
        rising, falling = (bins_hz[:, None] - low) / (middle - low), (high - bins_hz[:, None]) / (high - middle)
        filters = torch.minimum(rising, falling).clamp(min=0) * 2 / (high - low)
    deaf = int((filters.amax(dim=0) == 0).sum())
    if deaf:
        logger.warning(f"mel.n_mels={settings.n_mels}: {deaf} bands hold no bin of mel.n_fft={settings.n_fft}")
    return filters.float()


def _hz_to_mel(hz: float) -> float:
    """Slaney's Auditory Toolbox (1998): linear up to 1 kHz, which is 15 mel, logarithmic above."""
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) / _LOG_STEP


def _mel_to_hz(mel: Tensor) -> Tensor:
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * _LOG_STEP))


class PowerMel(nn.Module):
    """Waveform (B, N) -> mel power (B, M, n_mels), float32 even under autocast.

    Alignment ``frame`` gives exactly ``num_frames`` mel frames, frame j centered on the middle of samples
    ``[j * hop, (j + 1) * hop)``. Alignment ``center`` is ``torch.stft(center=True)``: ``N // hop + 1`` frames, frame
    j centered on sample ``j * hop``. Beyond its ends a waveform is mirrored or, with ``edges="zero"``, silent.
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self, settings: MelSettings, sample_rate_hz: int, edges: Literal["reflect", "zero"] = "reflect"
    ) -> None:
        super().__init__()
        self.edges = edges
        if settings.f_max_hz > sample_rate_hz / 2:
            raise ValueError(f"mel.f_max_hz={settings.f_max_hz} is above half of sample_rate_hz={sample_rate_hz}")
        self.settings = settings
        with torch.device("cpu"):
            self.register_buffer("window", torch.hann_window(settings.n_fft))
        self.register_buffer("filters", mel_filters(settings, sample_rate_hz))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PowerMel":
        """Follow the rest of a model to its device, but never to half precision: a rounded window leaks."""
        window, filters = self.window, self.filters
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self.window, self.filters = window.to(self.window.device), filters.to(self.filters.device)
        return self

    def forward(self, waveform: Tensor, num_frames: int) -> Tensor:
        """``num_frames`` mel frames are wanted; N <= num_frames * hop_samples."""
        with torch.autocast(waveform.device.type, enabled=False):
            power = self._spectrum(waveform.float(), num_frames)
            return power.transpose(1, 2) @ self.filters

    def _spectrum(self, waveform: Tensor, num_frames: int) -> Tensor:
        """(B, N) -> power (B, n_fft // 2 + 1, M)."""
        n_fft, hop = self.settings.n_fft, self.settings.hop_samples
        centered = self.settings.alignment == "center"
        if not centered:
            waveform = pad_for_frames(waveform, num_frames, n_fft, hop, self.edges)
        elif waveform.shape[1] <= n_fft // 2:  # reflection needs that many samples
            waveform = F.pad(waveform, (0, n_fft // 2 + 1 - waveform.shape[1]))
        spectrum = torch.stft(
            waveform, n_fft, hop, n_fft, self.window, center=centered, pad_mode="reflect", return_complex=True
        )
        return torch.view_as_real(spectrum).square().sum(dim=-1)


def pad_for_frames(waveform: Tensor, num_frames: int, n_fft: int, hop: int, edges: str = "reflect") -> Tensor:
    """Pad (B, N) so that an STFT without centering has ``num_frames`` frames: zeros to full frames, then its edges."""
    waveform = F.pad(waveform, (0, num_frames * hop - waveform.shape[1]))
    left = (n_fft - hop) // 2
    right = n_fft - hop - left
    mode = "reflect" if edges == "reflect" and right < waveform.shape[1] else "constant"
    return F.pad(waveform, (left, right), mode=mode)


def power_to_db(power: Tensor) -> Tensor:
    """10 log10 of power, floored at -100 dB."""
    return 10 * torch.log10(power.clamp(min=POWER_FLOOR))
