"""Time shift by whole frames, so that labels move exactly with the audio."""

from typing import Literal

import torch
from torch import Generator, Tensor
from torch.nn import functional

from rfcx_ssl.augment.base import Draws, TransformSettings
from rfcx_ssl.augment.frame_map import take_frames
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.states import States, clip_after_loss, presence
from rfcx_ssl.frames import FrameGrid, seconds_to_samples
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class TimeShiftSettings(TransformSettings):
    """Move each crop in time."""

    max_shift_s: float = 1.0  # earlier or later by up to this much, rounded down to whole frames
    fill: Literal["roll", "zero"] = "roll"  # what leaves at one end returns at the other, or is lost

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_shift_s < 0:
            raise ValueError(f"max_shift_s={self.max_shift_s} must not be negative")


class TimeShiftAugmentation(RowsAugmentation):
    """Shift waveform and frame labels by the same whole number of frames.

    ``roll``: whole frames are rotated; a trailing partial frame stays where it is; clip labels do not change.
    ``zero``: the gap is silent and its labels unknown; a clip label whose call left the crop becomes unknown, and that of
    a tag loses weight with the audio.
    """

    def __init__(self, config: TimeShiftSettings, grid: FrameGrid, *, coverage: float) -> None:
        super().__init__(config.p)
        self.config = config
        self.coverage = coverage
        self.hop_samples = grid.hop_samples
        self.max_frames = seconds_to_samples(config.max_shift_s, grid.sample_rate_hz) // grid.hop_samples

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Shift of each crop in frames, positive for later."""
        limit = min(self.max_frames, max(batch.waveform.shape[1] // self.hop_samples - 1, 0))
        device = batch.waveform.device
        return {"shift_frames": torch.randint(-limit, limit + 1, (count,), device=device, generator=generator)}

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Move frames of samples and frames of labels by the same index."""
        shift = draws["shift_frames"]
        return self._roll(part, shift) if self.config.fill == "roll" else self._shift(part, shift)

    def _roll(self, batch: Batch, shift: Tensor) -> Batch:
        whole = batch.waveform.shape[1] // self.hop_samples
        if whole == 0:
            return batch
        source = torch.arange(whole, device=shift.device)[None, :] - shift[:, None]
        source = torch.remainder(source, whole)
        samples = whole * self.hop_samples
        moved = take_frames(batch.waveform[:, :samples].reshape(-1, whole, self.hop_samples), source)
        waveform = _join(moved.flatten(1), batch.waveform[:, samples:])
        target = _join(take_frames(batch.target[:, :whole], source), batch.target[:, whole:])
        known = _join(take_frames(batch.known[:, :whole], source), batch.known[:, whole:])
        return batch._replace(waveform=waveform, target=target, known=known)

    def _shift(self, batch: Batch, shift: Tensor) -> Batch:
        samples, frames = batch.waveform.shape[1], batch.target.shape[1]
        source = torch.arange(frames, device=shift.device)[None, :] - shift[:, None]
        inside = ((source >= 0) & (source < frames))[:, :, None]
        source = source.clamp(0, frames - 1)
        padded = functional.pad(batch.waveform, (0, frames * self.hop_samples - samples))
        moved = take_frames(padded.reshape(-1, frames, self.hop_samples), source) * inside
        target, known = take_frames(batch.target, source) * inside, take_frames(batch.known, source) * inside
        before = presence(States(batch.target, batch.known)).sum(1)
        after = presence(States(target, known)).sum(1)
        clip = States(batch.clip_target, batch.clip_known)
        clip = clip_after_loss(clip, before, after, 1.0 - shift.abs() / frames, self.coverage)
        return Batch(moved.flatten(1)[:, :samples], target, known, clip.target, clip.known, batch.index)


def _join(moved: Tensor, tail: Tensor) -> Tensor:
    """Append what is left of a partial frame; no copy where there is nothing."""
    return torch.cat([moved, tail], dim=1) if tail.shape[1] else moved
