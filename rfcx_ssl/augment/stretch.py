"""Time stretch by a phase vocoder: tempo changes, pitch does not."""

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

from rfcx_ssl.augment.base import Draws, TransformSettings, uniform
from rfcx_ssl.augment.frame_map import warp_frames
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.speed import frames_heard
from rfcx_ssl.augment.states import States, clip_after_loss, presence
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class TimeStretchSettings(TransformSettings):
    """Change the tempo of a crop."""

    min_rate: float = 0.9  # above 1 is faster
    max_rate: float = 1.1
    window_samples: int = 512

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0.5 <= self.min_rate <= self.max_rate <= 2.0:
            raise ValueError(f"need 0.5 <= min_rate <= max_rate <= 2, got {self.min_rate} and {self.max_rate}")
        if self.window_samples < 64 or self.window_samples % 4:
            raise ValueError(f"window_samples={self.window_samples} must be a multiple of 4, at least 64")


class TimeStretchAugmentation(RowsAugmentation):
    """Phase vocoder (Flanagan and Golden 1966; Dolson 1986) with a rate of its own for every crop.

    The middle of the crop stays in place and its length is kept: a slower crop loses its ends, a faster one gets
    silent ends with unknown labels. A window smears a click over itself, so a frame's label is the union of the
    source frames within one window of what it hears.
    """

    window: Tensor

    def __init__(
        self, config: TimeStretchSettings, grid: FrameGrid, *, coverage: float, noise_output: int | None = None
    ) -> None:
        super().__init__(config.p)
        self.config = config
        self.coverage = coverage
        self.hop_samples = grid.hop_samples
        self.noise_output = noise_output
        self.stride = config.window_samples // 4
        margin_frames = 2 * math.ceil(config.window_samples / grid.hop_samples)
        self.span_frames = frames_heard(config.max_rate) + margin_frames
        self.register_buffer("window", torch.hann_window(config.window_samples), persistent=False)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Rate of each crop."""
        return {"rate": uniform(count, batch, generator, self.config.min_rate, self.config.max_rate)}

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Stretch the audio, warp the labels."""
        rate = draws["rate"]
        source = States(part.target, part.known)
        start, stop = self._frames(part, rate)
        warped = warp_frames(source, start, stop, self.span_frames, self.noise_output)
        after = presence(warped).sum(1) * rate[:, None]
        clip = States(part.clip_target, part.clip_known)
        clip = clip_after_loss(clip, presence(source).sum(1), after, rate.clamp(max=1.0), self.coverage)
        waveform = self._vocode(part.waveform, rate)
        return Batch(waveform, warped.target, warped.known, clip.target, clip.known, part.index)

    def _vocode(self, waveform: Tensor, rate: Tensor) -> Tensor:
        """(B, N), (B,) -> (B, N) around the same middle."""
        size, stride = self.config.window_samples, self.stride
        samples = waveform.shape[1]
        whole = math.ceil(samples / stride) * stride
        padded = functional.pad(waveform, (0, whole - samples))
        spectrum = torch.stft(padded, size, stride, window=self.window, pad_mode="constant", return_complex=True)
        position = _source_position(spectrum.shape[2], rate, (samples - 1) / 2 / stride)  # (B, M) in strides
        below = position.floor()
        index = below.long()
        left, right = _columns(spectrum, index), _columns(spectrum, index + 1)
        fraction = (position - below)[:, None, :]
        magnitude = torch.lerp(left.abs(), right.abs(), fraction)
        phase = self._phase(left, right, spectrum.shape[1])
        return self._overlap_add(torch.polar(magnitude, phase))[:, size // 2 : size // 2 + samples]

    def _overlap_add(self, spectrum: Tensor) -> Tensor:
        """(B, F, M) -> (B, (M - 1) * stride + size). torch.istft would read its window check back from the device."""
        size, stride, columns = self.config.window_samples, self.stride, spectrum.shape[2]
        pieces = torch.fft.irfft(spectrum, n=size, dim=1) * self.window[:, None]
        weight = self.window.square()[None, :, None].expand(1, size, columns)
        shape = (1, (columns - 1) * stride + size)
        total = functional.fold(pieces, shape, (1, size), stride=(1, stride))
        envelope = functional.fold(weight, shape, (1, size), stride=(1, stride))
        return (total / envelope.clamp(min=1e-6))[:, 0, 0]

    def _phase(self, left: Tensor, right: Tensor, bins: int) -> Tensor:
        """(B, F, M) running phase: that of the first column, plus the true advance of every stride."""
        expected = torch.arange(bins, device=left.device) * (2 * math.pi * self.stride / self.config.window_samples)
        advance = right.angle() - left.angle() - expected[:, None]
        advance = advance - 2 * math.pi * torch.round(advance / (2 * math.pi)) + expected[:, None]
        steps = torch.cat([left.angle()[:, :, :1], advance[:, :, :-1]], dim=2)
        return torch.cumsum(steps, dim=2)

    def _frames(self, batch: Batch, rate: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T) source frames that each frame hears, a window wider on either side."""
        hop, margin = self.hop_samples, self.config.window_samples
        first = torch.arange(batch.target.shape[1], device=rate.device) * hop
        center = (batch.waveform.shape[1] - 1) / 2
        start = center + (first - margin - center)[None, :] * rate[:, None]
        stop = center + (first + hop - 1 + margin - center)[None, :] * rate[:, None]
        return torch.floor(start / hop).long(), torch.floor(stop / hop).long() + 1


def _source_position(columns: int, rate: Tensor, center: float) -> Tensor:
    """(B, M) place in the source, in strides, of every output column; the center maps to itself."""
    column = torch.arange(columns, device=rate.device, dtype=torch.float32)
    return center + (column - center)[None, :] * rate[:, None]


def _columns(spectrum: Tensor, index: Tensor) -> Tensor:
    """(B, F, M) at columns (B, M); zero outside."""
    count = spectrum.shape[2]
    inside = ((index >= 0) & (index < count))[:, None, :]
    chosen = index.clamp(0, count - 1)[:, None, :].expand(-1, spectrum.shape[1], -1)
    return torch.gather(spectrum, 2, chosen) * inside
