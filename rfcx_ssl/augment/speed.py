"""Speed perturbation (Ko et al. 2015): tempo and pitch change together, as when a tape runs faster."""

from fractions import Fraction

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torchaudio.transforms import Resample

from rfcx_ssl.augment.base import Augmentation, Draws
from rfcx_ssl.augment.frame_map import warp_frames
from rfcx_ssl.augment.states import States, clip_after_loss, presence
from rfcx_ssl.config import settings
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch

FILTER_WIDTH = 16  # zero crossings on either side; torchaudio's default of 6 lets a tenth of an aliased tone through


@settings
class SpeedSettings:
    """Play a clip faster or slower."""

    p: float = 0.0
    factors: tuple[float, ...] = (0.9, 1.1)  # above 1 is faster; two decimals count
    clip_coverage: float = 0.5  # share of a call that must remain for its clip label to stay

    def __post_init__(self) -> None:
        if not 0.0 <= self.p <= 1.0:
            raise ValueError(f"p={self.p} must lie in [0, 1]")
        if not self.factors or any(not 0.5 <= factor <= 2.0 for factor in self.factors):
            raise ValueError(f"factors={self.factors} must be at least one number in [0.5, 2]")
        if not 0.0 < self.clip_coverage <= 1.0:
            raise ValueError(f"clip_coverage={self.clip_coverage} must lie in (0, 1]")


class SpeedAugmentation(Augmentation):
    """Resample each chosen clip by a factor from a short list, keeping its middle and its length.

    Every factor's version of the whole batch is computed (torchaudio's windowed-sinc filter, which limits the band)
    and each clip takes its own. A slower clip loses its ends; a faster one gets silent ends with unknown labels. A
    frame's label is the union of the source frames it hears.
    """

    def __init__(self, config: SpeedSettings, grid: FrameGrid, noise_output: int | None = None) -> None:
        super().__init__(config.p)
        self.config = config
        self.hop_samples = grid.hop_samples
        self.noise_output = noise_output
        self.ratios = [Fraction(factor).limit_denominator(100).as_integer_ratio() for factor in config.factors]
        self.resamplers = nn.ModuleList(
            Resample(source, target, lowpass_filter_width=FILTER_WIDTH) for source, target in self.ratios
        )
        self.span_frames = max(frames_heard(source / target) for source, target in self.ratios)

    def draw(self, batch: Batch, generator: Generator | None) -> Draws:
        """Factor of each clip, as its place in the list; -1 where the clip is not chosen."""
        size, device = (batch.waveform.shape[0],), batch.waveform.device
        factor = torch.randint(len(self.ratios), size, device=device, generator=generator)
        return {"factor": torch.where(self.coin(batch, generator), factor, torch.full_like(factor, -1))}

    def apply_draws(self, batch: Batch, draws: Draws) -> Batch:
        """Choose each clip's version, and map its labels."""
        choice = draws["factor"]
        samples, frames = batch.waveform.shape[1], batch.target.shape[1]
        waveform = batch.waveform
        start = torch.arange(frames, device=choice.device).expand(choice.shape[0], frames)
        stop = start + 1
        pace = torch.ones(choice.shape, device=choice.device)
        for place, (ratio, resample) in enumerate(zip(self.ratios, self.resamplers, strict=True)):
            mine = (choice == place)[:, None]
            faster, offset = _centred(resample(batch.waveform), samples)
            waveform = torch.where(mine, faster, waveform)
            first, last = self._frames(frames, offset, ratio, choice.device)
            start, stop = torch.where(mine, first, start), torch.where(mine, last, stop)
            pace = torch.where(mine[:, 0], ratio[0] / ratio[1], pace)
        source = States(batch.target, batch.known)
        warped = warp_frames(source, start, stop, self.span_frames, self.noise_output)
        after = presence(warped).sum(1) * pace[:, None]
        clip = States(batch.clip_target, batch.clip_known)
        clip = clip_after_loss(clip, presence(source).sum(1), after, self.config.clip_coverage, choice >= 0)
        return Batch(waveform, warped.target, warped.known, clip.target, clip.known, batch.index)

    def _frames(self, frames: int, offset: int, ratio: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
        """(T,) first and one-past-last source frame of each frame, with one sample of play for the filter."""
        first_sample = torch.arange(frames, device=device) * self.hop_samples + offset
        last_sample = first_sample + self.hop_samples - 1
        start = _floor(first_sample * ratio[0], ratio[1]) - 1
        stop = _floor(last_sample * ratio[0], ratio[1]) + 2
        return _floor(start, self.hop_samples), _floor(stop, self.hop_samples) + 1


def frames_heard(rate: float) -> int:
    """Most source frames that one frame can touch when time runs at ``rate``."""
    return int(rate) + 3


def _floor(value: Tensor, divisor: int) -> Tensor:
    return torch.div(value, divisor, rounding_mode="floor")


def _centred(waveform: Tensor, samples: int) -> tuple[Tensor, int]:
    """Cut or zero-fill (B, L) to (B, samples) around its middle; the offset of sample 0 in ``waveform``."""
    extra = waveform.shape[1] - samples
    offset = extra // 2
    if extra >= 0:
        return waveform[:, offset : offset + samples], offset
    return functional.pad(waveform, (-offset, offset - extra)), offset
