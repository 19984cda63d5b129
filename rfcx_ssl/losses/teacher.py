"""A teacher's say on the cells that nobody judged: the consistency cost of mean teachers.

Tarvainen and Valpola 2017 (arXiv:1703.01780), as the baselines of DCASE task 4 have it for sound events: the mean square of
the difference between the probabilities of student and teacher, for frames and for whole crops. Theirs is a mean over all
cells; here what people or pseudo-labels say of a cell is the only lesson about it.
"""

from typing import Protocol

import torch
from torch import Tensor

from rfcx_ssl.labels import Lesson, TaughtBatch
from rfcx_ssl.losses.weights import weighted_mean


class Logits(Protocol):
    """What is compared of a model's output: (B, T, K) and (B, K)."""

    frame_logits: Tensor
    clip_logits: Tensor


def unknown_frames(batch: Lesson) -> Tensor:
    """(B, T, K) 1 for each frame cell of which nothing is known, else 0."""
    return (batch.known == 0).to(batch.known.dtype)


def unknown_clips(batch: Lesson) -> Tensor:
    """(B, K) the same for clip labels."""
    return (batch.clip_known == 0).to(batch.clip_known.dtype)


def frame_difference(output: Logits, batch: Lesson) -> Tensor:
    """Mean square difference to the teacher over :func:`unknown_frames`, times ``trust``; 0 where there are none."""
    batch = _taught(batch)
    return _difference(output.frame_logits, batch.teacher_frame, unknown_frames(batch)) * batch.trust


def clip_difference(output: Logits, batch: Lesson) -> Tensor:
    """The same for clip labels."""
    batch = _taught(batch)
    return _difference(output.clip_logits, batch.teacher_clip, unknown_clips(batch)) * batch.trust


def _difference(logits: Tensor, probability: Tensor, weights: Tensor) -> Tensor:
    return weighted_mean((torch.sigmoid(logits) - probability).square(), weights)


def _taught(batch: Lesson) -> TaughtBatch:
    assert isinstance(batch, TaughtBatch), "a loss with a teacher_weight needs what the teacher says"
    return batch
