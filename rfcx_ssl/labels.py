"""Three-state labels: present, absent or unknown for every class and frame."""

from typing import NamedTuple

from torch import Tensor


class Batch(NamedTuple):
    """What a model trains on. B clips, N samples, T frames, K outputs of the label space.

    ``known`` is the weight of what is known: 0 unknown, 1 known, between the two for a soft pseudo-label.
    Where ``known`` is 0, ``target`` is 0 too.
    """

    waveform: Tensor  # (B, N) float32 in [-1, 1], mono
    target: Tensor  # (B, T, K) float32 in [0, 1]
    known: Tensor  # (B, T, K) float32 in [0, 1]
    clip_target: Tensor  # (B, K) float32 in [0, 1]
    clip_known: Tensor  # (B, K) float32 in [0, 1]
    index: Tensor  # (B,) int64, position of the crop in its data set
