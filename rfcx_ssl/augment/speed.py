"""Speed perturbation (Ko et al. 2015): tempo and pitch change together, as when a tape runs faster."""

from fractions import Fraction

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional
from torchaudio.transforms import Resample

from rfcx_ssl.augment.base import Draws, TransformSettings
from rfcx_ssl.augment.frame_map import warp_frames
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.states import States, clip_after_loss, presence
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings

FILTER_WIDTH = 16  # zero crossings on either side; torchaudio's default of 6 lets a tenth of an aliased tone through


@settings
class SpeedSettings(TransformSettings):
    """Play a crop faster or slower."""

    factors: tuple[float, ...] = (0.9, 1.1)  # above 1 is faster; two decimals count

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.factors or any(not 0.5 <= factor <= 2.0 for factor in self.factors):
            raise ValueError(f"factors={self.factors} must be at least one number in [0.5, 2]")


class SpeedAugmentation(RowsAugmentation):
    """Resample each chosen crop by a factor from a short list, keeping its middle and its length.

    Every factor's version of the chosen crops is computed (torchaudio's windowed-sinc filter, which limits the band)
    and each crop takes its own. A slower crop loses its ends; a faster one gets silent ends with unknown labels. A
    frame's label is the union of the source frames it hears.
    """

    pace: Tensor

    def __init__(
        self, config: SpeedSettings, grid: FrameGrid, *, coverage: float, noise_output: int | None = None
    ) -> None:
        super().__init__(config.p)
        self.coverage = coverage
        self.hop_samples = grid.hop_samples
        self.noise_output = noise_output
        self.ratios = [Fraction(factor).limit_denominator(100).as_integer_ratio() for factor in config.factors]
        self.resamplers = nn.ModuleList(
            Resample(source, target, lowpass_filter_width=FILTER_WIDTH) for source, target in self.ratios
        )
        pace = torch.tensor([source / target for source, target in self.ratios], dtype=torch.float32)
        self.register_buffer("pace", pace, persistent=False)
        self.span_frames = max(frames_heard(source / target) for source, target in self.ratios)

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Factor of each crop, as its place in the list."""
        device = batch.waveform.device
        return {"factor": torch.randint(len(self.ratios), (count,), device=device, generator=generator)}

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Choose each crop's version, and map its labels."""
        choice, device = draws["factor"], part.waveform.device
        samples, frames = part.waveform.shape[1], part.target.shape[1]
        versions = [_centered(resample(part.waveform), samples) for resample in self.resamplers]
        waveform = versions[0][0]
        for place in range(1, len(versions)):
            waveform = torch.where((choice == place)[:, None], versions[place][0], waveform)
        maps = [
            self._frames(frames, offset, ratio, device)
            for (_, offset), ratio in zip(versions, self.ratios, strict=True)
        ]
        start, stop = (torch.stack(edges).index_select(0, choice) for edges in zip(*maps, strict=True))
        source = States(part.target, part.known)
        warped = warp_frames(source, start, stop, self.span_frames, self.noise_output)
        clip = States(part.clip_target, part.clip_known)
        pace = self.pace.index_select(0, choice)
        after = presence(warped).sum(1) * pace[:, None]
        clip = clip_after_loss(clip, presence(source).sum(1), after, pace.clamp(max=1.0), self.coverage)
        return Batch(waveform, warped.target, warped.known, clip.target, clip.known, part.index)

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


def _centered(waveform: Tensor, samples: int) -> tuple[Tensor, int]:
    """Cut or zero-fill (B, L) to (B, samples) around its middle; the offset of sample 0 in ``waveform``."""
    extra = waveform.shape[1] - samples
    offset = extra // 2
    if extra >= 0:
        return waveform[:, offset : offset + samples], offset
    return functional.pad(waveform, (-offset, offset - extra)), offset
