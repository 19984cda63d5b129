"""Move frames and their labels: exact copies for shifts and pastes, merged labels where time itself is warped."""

import torch
from torch import Tensor

from rfcx_ssl.augment.states import States, union


def take_frames(frames: Tensor, source: Tensor) -> Tensor:
    """(B, T, X), (B, T') frame indices -> (B, T', X); whole rows are copied, which is far faster than a gather."""
    size, count, width = frames.shape
    offset = torch.arange(size, device=source.device)[:, None] * count
    rows = frames.reshape(size * count, width).index_select(0, (source + offset).flatten())
    return rows.view(size, source.shape[1], width)


def warp_frames(states: States, start: Tensor, stop: Tensor, span: int, noise_output: int | None) -> States:
    """Labels of frames that each hear the source frames ``[start, stop)``, as the union of what was heard there.

    Source frames outside the crop are unknown, and so is a frame that hears nothing.

    Args:
        states: (B, T, K) labels of the source.
        start: (B, T') int64, first source frame of each frame.
        stop: (B, T') int64, one past its last source frame.
        span: Largest ``stop - start`` there can be.
        noise_output: Index of the noise output, or None.
    """
    heard = start < stop
    merged = _at(states, start, heard)
    for step in range(1, span):
        part = union(merged, _at(states, start + step, heard), noise_output)
        use = (start + step < stop)[:, :, None]
        merged = States(torch.where(use, part.target, merged.target), torch.where(use, part.known, merged.known))
    return merged


def _at(states: States, source: Tensor, heard: Tensor) -> States:
    """Labels at ``source``; unknown outside the crop and where nothing is heard."""
    count = states.target.shape[1]
    inside = (heard & (source >= 0) & (source < count))[:, :, None]
    source = source.clamp(0, count - 1)
    return States(take_frames(states.target, source) * inside, take_frames(states.known, source) * inside)
