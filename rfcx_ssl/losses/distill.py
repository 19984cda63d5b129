"""The loss of a student: what its teachers say of the frames and of the whole of a crop, and what they hear in it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.losses.cells import bce
from rfcx_ssl.losses.settings import DistillLossSettings
from rfcx_ssl.losses.weights import weighted_mean

CERTAIN = 1e-6  # a teacher's probabilities are kept so far from 0 and 1 where their logits are taken


class Lesson(NamedTuple):
    """What a student hears and its teachers said. B crops, N samples, T frames, S species, E features of all teachers together.

    ``known`` is 0 for species that nobody teaches.
    """

    waveform: Tensor  # (B, N)
    target: Tensor  # (B, T, S) probabilities
    known: Tensor  # (B, T, S)
    clip_target: Tensor  # (B, S)
    clip_known: Tensor  # (B, S)
    index: Tensor  # type: ignore[assignment]  # (B,)
    embedding: Tensor  # (B, E) of each teacher, one beside the next


class Output(Protocol):
    """What the loss reads of a student's output: (B, T, K), (B, K), (B, D)."""

    frame_logits: Tensor
    clip_logits: Tensor
    embedding: Tensor


class DistillLoss(nn.Module):
    """``loss(output, lesson)`` -> one weighted scalar per term, and their sum as ``"loss"``.

    Cross-entropy of probabilities at temperature t, times t squared, so that the gradient keeps its size (Hinton et al. 2015,
    arXiv:1503.02531, section 2): ``t^2 BCE(sigmoid(z / t), sigmoid(z_teacher / t))`` of single cells, frames and crops apart. The
    embedding is compared after a linear projection per teacher, which belongs to the loss, not to the model.

    Args:
        settings: weights of the terms.
        merge: logits (..., K) of the student's outputs -> (..., S) of the species.
        embedding_dim: D of the student.
        teacher_dims: E of each teacher, in the order of ``Lesson.embedding``; 0 where one has none.
    """

    def __init__(
        self,
        settings: DistillLossSettings,
        merge: Callable[[Tensor], Tensor],
        embedding_dim: int,
        teacher_dims: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.settings, self.merge = settings, merge
        self.teacher_dims = tuple(dim for dim in teacher_dims if dim)
        if settings.embedding is not None:
            self.projections = nn.ModuleList(nn.Linear(embedding_dim, dim) for dim in self.teacher_dims)

    def forward(self, output: Output, lesson: Lesson) -> dict[str, Tensor]:
        """Terms by name, each already multiplied by its weight; terms that are off are left out."""
        ratio, terms = self.settings.clip_ratio, {}
        if ratio < 1:
            frames = self._cells(output.frame_logits, lesson.target)
            terms["frame"] = (1 - ratio) * weighted_mean(frames, lesson.known)
        if ratio > 0:
            clips = self._cells(output.clip_logits, lesson.clip_target)
            terms["clip"] = ratio * weighted_mean(clips, lesson.clip_known)
        if self.settings.embedding is not None:
            terms["embedding"] = self.settings.embedding.weight * self._embedding(output.embedding, lesson.embedding)
        return {**terms, "loss": torch.stack(list(terms.values())).sum()}

    def masses(self, lesson: Lesson) -> dict[str, Tensor]:
        """What each term divides by on ``lesson`` (scalars), under the terms' names and in their order."""
        masses = {}
        if self.settings.clip_ratio < 1:
            masses["frame"] = lesson.known.sum()
        if self.settings.clip_ratio > 0:
            masses["clip"] = lesson.clip_known.sum()
        if self.settings.embedding is not None:
            masses["embedding"] = lesson.waveform.new_tensor(float(len(lesson.waveform)))
        return masses

    def _cells(self, logits: Tensor, probabilities: Tensor) -> Tensor:
        """(..., K) logits of the student, (..., S) probabilities of the teachers -> (..., S)."""
        t = self.settings.temperature
        softened = torch.logit(probabilities, eps=CERTAIN).div(t).sigmoid()
        return t**2 * bce(self.merge(logits.float()) / t, softened)

    def _embedding(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Mean distance over crops and teachers."""
        assert self.settings.embedding is not None
        distances = []
        for projection, wanted in zip(
            self.projections, torch.split(theirs, list(self.teacher_dims), dim=1), strict=True
        ):
            projected = projection(ours.float())
            if self.settings.embedding.distance == "cosine":
                distances.append(1 - F.cosine_similarity(projected, wanted, dim=1).mean())
            else:
                distances.append(F.mse_loss(projected, wanted))
        return torch.stack(distances).mean()
