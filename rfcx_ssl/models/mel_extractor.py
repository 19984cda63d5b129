"""A log-mel feature extractor for wav2vec 2.0 that hears each moment against the seconds around it.

Log-mel power, less the mean of each band over the neighborhood (site, recorder and level leave with it); a few 3x3
convolutions over time and frequency; bands and channels flattened, so that absolute frequency is kept, and projected;
each channel normalized over its neighborhood. Both neighborhoods are windows of fixed length, cut off where the
recording (or its padding) ends: features depend on the audio within :attr:`MelExtractor.reach_s` and on nothing else,
neither on padding nor on what else is in the window.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.models.mel import MelSettings, PowerMel
from rfcx_ssl.settings import settings

VARIANCE_FLOOR = 1e-5


@settings
class MelExtractorSettings:
    """The extractor; its frames are ``mel.hop_samples`` times the product of ``time_strides`` samples long."""

    mel: MelSettings = MelSettings()
    log_floor: float = 1e-8  # added to the power before the logarithm: 30 dB below the noise of a quiet forest
    channels: tuple[int, ...] = (24, 48, 64)  # one 3x3 convolution with GELU each
    time_strides: tuple[int, ...] = (2, 2, 1)
    band_strides: tuple[int, ...] = (2, 2, 2)
    dim: int = 128  # channels of a frame
    center_s: float = 1.0  # a band's mean is taken over so many seconds before and after
    normalize_s: float | None = 1.0  # and so are the mean and deviation of an output channel; None: no normalization

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if not len(self.channels) == len(self.time_strides) == len(self.band_strides) > 0:
            raise ValueError("channels, time_strides and band_strides must have one entry per convolution")
        if min(*self.channels, *self.time_strides, *self.band_strides, self.dim) < 1:
            raise ValueError("channels, strides and dim must be 1 or more")
        if max(*self.channels, *self.time_strides, *self.band_strides, self.dim) > 2**13 or len(self.channels) > 64:
            raise ValueError("channels, strides and dim must be at most 2^13, in at most 64 convolutions")
        if any(value is not None and value <= 0 for value in (self.log_floor, self.center_s, self.normalize_s)):
            raise ValueError("log_floor, center_s and normalize_s must be above 0")
        if self.mel.alignment != "frame":
            raise ValueError(f"mel.alignment={self.mel.alignment!r} must be 'frame'")

    @property
    def mel_frames(self) -> int:
        """Mel frames per frame."""
        total = 1
        for stride in self.time_strides:
            total *= stride
        return total

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return self.mel.hop_samples * self.mel_frames


class MelExtractor(nn.Module):
    """Waveform (B, N) -> features (B, dim, N // hop_samples), frame k centered on its own samples.

    ``lengths`` (B,) are the real samples of each waveform where the batch is padded at the end, None where all are real;
    whoever calls sets it before and clears it after, because the libraries hand on the waveform alone. A frame of which
    only a part is real counts as padding, as it does for the convolutions of a raw-wave encoder.
    """

    lengths: Tensor | None

    def __init__(self, settings: MelExtractorSettings, sample_rate_hz: int) -> None:
        super().__init__()
        self.settings = settings
        self.lengths = None
        self.mel = PowerMel(settings.mel, sample_rate_hz, edges="zero")
        before, bands = 1, settings.mel.n_mels
        convs = []
        for channels, step, band_step in zip(
            settings.channels, settings.time_strides, settings.band_strides, strict=True
        ):
            # a kernel of step + 2 (3 for step 1) frames is centered on the ``step`` frames it stands for
            convs.append(nn.Conv2d(before, channels, (step + 2, 3), (step, band_step), padding=(1, 1)))
            before, bands = channels, (bands - 1) // band_step + 1
        self.convs = nn.ModuleList(convs)
        self.project = nn.Linear(before * bands, settings.dim)
        self.half_width = _frames(settings.center_s, sample_rate_hz, settings.mel.hop_samples)
        self.norm = None
        if settings.normalize_s is not None:
            self.norm = LocalNorm(settings.dim, _frames(settings.normalize_s, sample_rate_hz, settings.hop_samples))
        self.sample_rate_hz = sample_rate_hz

    @property
    def reach_s(self) -> float:
        """How far from the edges of a frame, in seconds, audio can still change it."""
        s, hop = self.settings, self.settings.mel.hop_samples
        reach = (s.mel.n_fft - hop + 1) // 2 + self.half_width * hop
        for step in s.time_strides:
            reach += hop  # a convolution looks one frame of its input beyond its own
            hop *= step
        if self.norm is not None:
            reach += self.norm.half_width * hop
        return reach / self.sample_rate_hz

    def forward(self, waveform: Tensor) -> Tensor:
        """Mel and normalizations in float32, whatever the type of the weights and the autocast type."""
        s = self.settings
        num_frames = waveform.shape[1] // s.hop_samples
        waveform = waveform[:, : num_frames * s.hop_samples]
        real = None if self.lengths is None else self.lengths // s.hop_samples
        with torch.no_grad(), torch.autocast(waveform.device.type, enabled=False):
            waveform = waveform.float() * _inside(real, waveform.shape[1], s.hop_samples, waveform)[:, 0]
            power = self.mel(waveform, num_frames * s.mel_frames).transpose(1, 2)  # (B, n_mels, M)
            level = torch.log(power + s.log_floor)
            inside = _inside(real, level.shape[2], s.mel_frames, level)
            level = (level - local_mean(level, self.half_width, inside)) * inside / 2
        x = level.transpose(1, 2)[:, None].to(self.project.weight.dtype)  # (B, 1, M, n_mels)
        for conv in self.convs:
            x = F.gelu(conv(x))
            if real is not None:  # beyond the end a convolution hears what it hears beyond the edge of a window: zeros
                x = x * _inside(real, x.shape[2], x.shape[2] // num_frames, x)[..., None]
        x = self.project(x.transpose(1, 2).flatten(2)).transpose(1, 2)
        inside = _inside(real, num_frames, 1, x)
        normalized: Tensor = x * inside if self.norm is None else self.norm(x, inside)
        return normalized


class LocalNorm(nn.Module):
    """(B, C, T): each channel less its mean, over its deviation, both of the frames within ``half_width``."""

    def __init__(self, channels: int, half_width: int) -> None:
        super().__init__()
        self.half_width = half_width
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, inside: Tensor) -> Tensor:
        """``inside`` (B or 1, 1, T) is 1 for real frames; what is outside becomes 0."""
        kind = self.weight.dtype
        with torch.autocast(x.device.type, enabled=False):
            x, inside = x.float(), inside.float()
            x = x - _overall_mean(x, inside)  # leaves the result as it is, but for rounding
            mean = local_mean(x, self.half_width, inside)
            variance = local_mean(x.square(), self.half_width, inside) - mean.square()
            scaled = (x - mean) * torch.rsqrt(variance.clamp(min=0) + VARIANCE_FLOOR)
            return ((scaled * self.weight[:, None] + self.bias[:, None]) * inside).to(kind)


def local_mean(x: Tensor, half_width: int, inside: Tensor) -> Tensor:
    """Mean of (B, C, T) over the real frames within ``half_width`` of each; by running sums, so any width costs the same.

    ``inside`` (B or 1, 1, T) is 1 for real frames.
    """
    offset = _overall_mean(x, inside)  # small numbers keep running sums exact
    total = _running((x - offset) * inside, half_width)
    return offset + total / _running(inside, half_width).clamp(min=1)


def _overall_mean(x: Tensor, inside: Tensor) -> Tensor:
    """(B, C, 1) mean over all real frames."""
    return (x * inside).sum(dim=-1, keepdim=True) / inside.sum(dim=-1, keepdim=True).clamp(min=1)


def _running(x: Tensor, half_width: int) -> Tensor:
    """Sum of the frames within ``half_width`` of each, zero beyond the ends."""
    width = 2 * half_width + 1
    sums = F.pad(x, (half_width + 1, half_width)).cumsum(dim=-1)
    return sums[..., width:] - sums[..., :-width]


def _inside(real: Tensor | None, size: int, per_frame: int, like: Tensor) -> Tensor:
    """(B or 1, 1, size) mask in the type of ``like``: 1 where there is audio, with ``per_frame`` positions per frame."""
    if real is None:
        return like.new_ones(1, 1, size)
    return (torch.arange(size, device=like.device) < real[:, None, None] * per_frame).to(like.dtype)


def _frames(seconds: float, sample_rate_hz: int, hop_samples: int) -> int:
    """Whole frames nearest to a time, at least one."""
    return max(1, round(seconds * sample_rate_hz / hop_samples))
