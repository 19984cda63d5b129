"""Call CutMix: paste a labelled call of one crop into another (after Yun et al. 2019, along time, by label)."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from rfcx_ssl.augment.base import Draws, TransformSettings, random_partner, uniform
from rfcx_ssl.augment.frame_map import take_frames
from rfcx_ssl.augment.rows import RowsAugmentation
from rfcx_ssl.augment.states import States, clip_after_loss, presence, select, union
from rfcx_ssl.frames import FrameGrid, seconds_to_samples
from rfcx_ssl.labels import Batch
from rfcx_ssl.settings import settings


@settings
class CallCutMixSettings(TransformSettings):
    """Paste a call from another crop of the batch."""


class Paste(NamedTuple):
    """Which frames of a crop come from which frames of its partner."""

    inside: Tensor  # (B, T) bool, the frames that are replaced
    first: Tensor  # (B,) int64, first of them
    last: Tensor  # (B,) int64, last of them
    source: Tensor  # (B, T) int64, the partner's frame, meaningful inside


class CallCutMixAugmentation(RowsAugmentation):
    """Replace a span of each chosen crop by a call of its partner.

    The span is the run of present frames of one output around a random call frame, and on either side the frames
    within ``edge_tolerance_s`` (at least one), where the call may go on; it lands on whole frames. Inside, the
    partner's frame labels of every output replace the crop's own. The first and the last frame are crossfaded, so
    their labels are the union of both. Clip labels: the union of what remains of the crop (by ``coverage``) and of
    what the span is known to hold. Crops whose partner has no labelled call stay as they are, and so does a trailing
    partial frame.
    """

    def __init__(
        self,
        config: CallCutMixSettings,
        grid: FrameGrid,
        *,
        coverage: float,
        edge_tolerance_s: float,
        noise_output: int | None = None,
    ) -> None:
        super().__init__(config.p)
        self.coverage = coverage
        self.hop_samples = grid.hop_samples
        self.noise_output = noise_output
        self.margin_frames = max(1, grid.num_frames(seconds_to_samples(edge_tolerance_s, grid.sample_rate_hz)))

    def draw_rows(self, count: int, batch: Batch, generator: Generator | None) -> Draws:
        """Partner of every crop (B,); of the chosen ones, a lot per label cell (the highest call wins) and the place."""
        return {
            "partner": random_partner(batch, generator),
            "lot": torch.rand(count, *batch.target.shape[1:], device=batch.target.device, generator=generator),
            "place": uniform(count, batch, generator),
        }

    def change_rows(self, part: Batch, draws: Draws, whole: Batch) -> Batch:
        """Find the call, paste it, merge the labels."""
        frames = part.waveform.shape[1] // self.hop_samples
        if frames == 0:
            return part
        partner = draws["partner"].index_select(0, draws["rows"])
        other = Batch(*(field.index_select(0, partner) for field in whole))
        own, theirs = States(part.target, part.known), States(other.target, other.known)
        paste = self._find(theirs, draws, frames)
        pasted = States(take_frames(theirs.target, paste.source), take_frames(theirs.known, paste.source))
        waveform = self._paste(part.waveform, other.waveform, paste, frames)
        frame = self._frame_labels(own, pasted, paste)
        held = self._span_labels(theirs, States(other.clip_target, other.clip_known), pasted, paste.inside)
        after = (presence(own) & ~paste.inside[:, :, None]).sum(1)
        clip = States(part.clip_target, part.clip_known)
        left = 1.0 - paste.inside.to(part.waveform.dtype).mean(1)
        kept = clip_after_loss(clip, presence(own).sum(1), after, left, self.coverage)
        clip = select(paste.inside.any(1), union(kept, held, self.noise_output), clip)
        return Batch(waveform, frame.target, frame.known, clip.target, clip.known, part.index)

    def _find(self, other: States, draws: Draws, frames: int) -> Paste:
        """Choose a call of each partner and the place where it lands."""
        calls = presence(other)
        if self.noise_output is not None:
            outputs = torch.arange(calls.shape[2], device=calls.device)
            calls = calls & (outputs != self.noise_output)
        frame = torch.arange(calls.shape[1], device=calls.device)
        usable = calls & (frame < frames)[None, :, None]
        lot = torch.where(usable, draws["lot"], -torch.ones_like(draws["lot"])).flatten(1)
        pick = lot.argmax(1)
        at, output = (pick // calls.shape[2])[:, None], pick % calls.shape[2]
        run = usable.gather(2, output[:, None, None].expand(-1, calls.shape[1], 1)).squeeze(2)
        start = torch.where(~run & (frame < at), frame, -1).amax(1) + 1 - self.margin_frames
        stop = torch.where(~run & (frame > at), frame, calls.shape[1]).amin(1) + self.margin_frames
        start, stop = start.clamp(min=0), stop.clamp(max=frames)
        first = (draws["place"] * (frames - (stop - start) + 1)).long()
        last = first + stop - start - 1
        inside = (frame >= first[:, None]) & (frame <= last[:, None]) & usable.flatten(1).any(1)[:, None]
        source = torch.where(inside, frame + (start - first)[:, None], frame.expand_as(inside))
        return Paste(inside, first, last, source)

    def _paste(self, waveform: Tensor, other: Tensor, paste: Paste, frames: int) -> Tensor:
        """Copy frames of the partner into the crop, crossfading over the first and the last of them."""
        hop, size = self.hop_samples, waveform.shape[0]
        own = waveform[:, : frames * hop].reshape(size, frames, hop)
        theirs = other[:, : frames * hop].reshape(size, frames, hop)
        result = torch.where(paste.inside[:, :frames, None], take_frames(theirs, paste.source[:, :frames]), own)
        ramp = (torch.arange(hop, device=waveform.device, dtype=waveform.dtype) + 0.5) / hop
        for edge, weight in ((paste.first, ramp), (paste.last, 1.0 - ramp)):
            place = edge[:, None]
            mixed = torch.lerp(take_frames(own, place), take_frames(result, place), weight)
            result = result.scatter(1, place[:, :, None].expand(-1, 1, hop), mixed)
        return torch.cat([result.flatten(1), waveform[:, frames * hop :]], dim=1)

    def _frame_labels(self, own: States, pasted: States, paste: Paste) -> States:
        frame = torch.arange(own.target.shape[1], device=own.target.device)
        edge = (frame == paste.first[:, None]) | (frame == paste.last[:, None])
        both = union(own, pasted, self.noise_output)
        edge, inside = edge[:, :, None], paste.inside[:, :, None]
        target = torch.where(edge, both.target, pasted.target)
        known = torch.where(edge, both.known, pasted.known)
        return States(torch.where(inside, target, own.target), torch.where(inside, known, own.known))

    def _span_labels(self, other: States, other_clip: States, pasted: States, inside: Tensor) -> States:
        """(B, K) clip labels of the span alone: what the pasted audio is known to hold."""
        heard = (presence(pasted) & inside[:, :, None]).sum(1)
        enough = heard >= self.coverage * presence(other).sum(1)
        silent = torch.where(inside[:, :, None] & ~_absent(pasted), 0.0, pasted.known)
        silent = torch.where(inside[:, :, None], silent, torch.ones_like(silent)).amin(1)
        silent = torch.where(_absent(other_clip), torch.maximum(silent, other_clip.known), silent)
        covered = presence(other_clip) & (heard > 0) & enough
        target = torch.where(covered, other_clip.target, torch.zeros_like(silent))
        known = torch.where(covered, other_clip.known, torch.where(heard > 0, torch.zeros_like(silent), silent))
        return States(target, known)


def _absent(states: States) -> Tensor:
    return (states.known > 0) & ~presence(states)
