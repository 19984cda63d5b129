"""What a model trains on: waveforms with three-state labels of their frames and of the crop as a whole."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

PRESENT = 0.5  # a known cell is present from this target on, absent below it


class Batch(NamedTuple):
    """What a model trains on. B crops, N samples, T frames, K outputs of the label space.

    ``known`` is the weight of what is known: 0 unknown, 1 known, between the two for a soft pseudo-label.
    Where ``known`` is 0, ``target`` is 0 too.
    """

    waveform: Tensor  # (B, N) float32 in [-1, 1], mono
    target: Tensor  # (B, T, K) float32 in [0, 1]
    known: Tensor  # (B, T, K) float32 in [0, 1]
    clip_target: Tensor  # (B, K) float32 in [0, 1]
    clip_known: Tensor  # (B, K) float32 in [0, 1]
    index: Tensor  # type: ignore[assignment]  # (B,) int64, position of the crop in its data set; hides tuple.index


class TaughtBatch(NamedTuple):
    """A :class:`Batch` with what a teacher says of the same crops, for the cells that nobody judged."""

    waveform: Tensor  # (B, N)
    target: Tensor  # (B, T, K)
    known: Tensor  # (B, T, K)
    clip_target: Tensor  # (B, K)
    clip_known: Tensor  # (B, K)
    index: Tensor  # type: ignore[assignment]  # (B,)
    teacher_frame: Tensor  # (B, T, K) probabilities
    teacher_clip: Tensor  # (B, K) probabilities
    trust: Tensor  # () in [0, 1], how much the teacher counts in this step


Lesson = Batch | TaughtBatch  # what a loss may be given


class Crop(NamedTuple):
    """One crop of a :class:`Batch`: the same fields without the first dimension."""

    waveform: Tensor  # (N,)
    target: Tensor  # (T, K)
    known: Tensor  # (T, K)
    clip_target: Tensor  # (K,)
    clip_known: Tensor  # (K,)
    index: Tensor  # type: ignore[assignment]  # ()


def collate(items: Sequence[Crop]) -> Batch:
    """Stack crops of equal length into a batch."""
    return Batch(*(torch.stack(field) for field in zip(*items, strict=True)))
