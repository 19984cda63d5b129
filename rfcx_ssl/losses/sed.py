"""The loss a model trains on: frame and clip cells with known masks, plus weighted extra terms."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple, Protocol, assert_never

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels import Lesson
from rfcx_ssl.losses.activity import activity_targets
from rfcx_ssl.losses.cells import asymmetric, bce, focal
from rfcx_ssl.losses.center import CenterLoss
from rfcx_ssl.losses.ranking import lsep, rankable, soft_lwlrap
from rfcx_ssl.losses.settings import (
    ActivitySettings,
    AsymmetricSettings,
    BceSettings,
    CellSettings,
    FocalSettings,
    LossSettings,
    LwlrapSettings,
)
from rfcx_ssl.losses.teacher import clip_difference, frame_difference, unknown_clips, unknown_frames
from rfcx_ssl.losses.weights import box_weights, cell_weights, weighted_mean
from rfcx_ssl.species.space import LabelSpace


class Output(Protocol):
    """What a loss reads of a model's output: (B, T, K), (B, K), (B, T) or None, (B, D)."""

    frame_logits: Tensor
    clip_logits: Tensor
    activity_logits: Tensor | None
    embedding: Tensor


class Term(NamedTuple):
    """One part of the loss: ``weight`` times a mean over a batch."""

    name: str
    weight: float
    value: Callable[[Output, Lesson], Tensor]  # the mean, a scalar
    counts: Callable[[Lesson], Tensor]  # what each cell, frame or clip counts; the mean divides by the sum of these


class SedLoss(nn.Module):
    """``loss(output, batch)`` -> one weighted scalar per term, and their sum as ``"loss"``.

    With ``settings.center`` the loss has parameters of its own: give them to the optimizer. With a ``teacher_weight``
    above 0 it is given batches with a teacher's probabilities (:class:`rfcx_ssl.labels.TaughtBatch`).
    """

    pos_weight: Tensor | None

    def __init__(
        self,
        settings: LossSettings,
        space: LabelSpace,
        embedding_dim: int | None = None,
        *,
        teacher_weight: float = 0.0,
    ) -> None:
        super().__init__()
        self.teacher_weight = teacher_weight
        self.settings = settings
        unknown = settings.unknown
        self.unknown_weight, self.unknown_target = (unknown.weight, unknown.target) if unknown else (0.0, 0.0)
        self.register_buffer("pos_weight", _pos_weight(settings, space))
        self.center: CenterLoss | None = None
        if settings.center is not None:
            if embedding_dim is None:
                raise ConfigError("loss.center needs the width of the model's embedding")
            self.center = CenterLoss(space.num_outputs, embedding_dim)
        self.noise_output = space.noise_output
        self.cell = _cell_loss(settings.cell)
        self.terms = tuple(self._active_terms(settings))

    def forward(self, output: Output, batch: Lesson) -> dict[str, Tensor]:
        """Terms by name, each already multiplied by its weight; terms that are off are left out."""
        terms = {term.name: term.weight * term.value(output, batch) for term in self.terms}
        terms["loss"] = torch.stack(list(terms.values())).sum()
        return terms

    def masses(self, batch: Lesson) -> dict[str, Tensor]:
        """What each term divides by on ``batch`` (scalars), under the terms' names and in their order."""
        return {term.name: term.counts(batch).sum() for term in self.terms}

    def _active_terms(self, s: LossSettings) -> Iterator[Term]:
        """The one place that knows which terms a run has."""
        if s.clip_ratio < 1:
            yield Term("frame", 1 - s.clip_ratio, self._frame, self._frame_weights)
        if s.clip_ratio > 0:
            yield Term("clip", s.clip_ratio, self._clip, self._clip_weights)
        if s.activity is not None:
            value, weights = partial(self._activity, s.activity), partial(self._activity_weights, s.activity)
            yield Term("activity", s.activity.weight, value, weights)
        if s.lsep is not None:
            yield Term("lsep", s.lsep.weight, self._lsep, self._rankable)
        if s.lwlrap is not None:
            yield Term("lwlrap", s.lwlrap.weight, partial(self._lwlrap, s.lwlrap), self._present_weights)
        if s.center is not None:
            yield Term("center", s.center.weight, self._center, self._present_weights)
        if self.teacher_weight and s.clip_ratio < 1:
            yield Term("teacher_frame", self.teacher_weight * (1 - s.clip_ratio), frame_difference, unknown_frames)
        if self.teacher_weight and s.clip_ratio > 0:
            yield Term("teacher_clip", self.teacher_weight * s.clip_ratio, clip_difference, unknown_clips)

    def _targets(self, target: Tensor, known: Tensor) -> Tensor:
        """Smoothed targets where known, ``unknown_target`` elsewhere."""
        smoothed = target * (1 - self.settings.label_smoothing) + self.settings.label_smoothing / 2
        return torch.where(known > 0, smoothed, torch.full_like(smoothed, self.unknown_target))

    def _frame(self, output: Output, batch: Lesson) -> Tensor:
        values = self.cell(output.frame_logits, self._targets(batch.target, batch.known), self.pos_weight)
        return weighted_mean(values, self._frame_weights(batch))

    def _frame_weights(self, batch: Lesson) -> Tensor:
        if self.settings.weighting == "box":
            return box_weights(batch.target, batch.known, self.unknown_weight)
        return cell_weights(batch.known, self.unknown_weight)

    def _clip(self, output: Output, batch: Lesson) -> Tensor:
        values = self.cell(output.clip_logits, self._targets(batch.clip_target, batch.clip_known), self.pos_weight)
        return weighted_mean(values, self._clip_weights(batch))

    def _clip_weights(self, batch: Lesson) -> Tensor:
        return cell_weights(batch.clip_known, self.unknown_weight)

    def _present_weights(self, batch: Lesson) -> Tensor:
        return batch.clip_target * batch.clip_known

    def _activity(self, settings: ActivitySettings, output: Output, batch: Lesson) -> Tensor:
        if output.activity_logits is None:
            raise ConfigError("loss.activity needs model.head.activity=auxiliary or multiply")
        target, weights = self._activity_labels(settings, batch)
        return weighted_mean(bce(output.activity_logits, target), weights)

    def _activity_weights(self, settings: ActivitySettings, batch: Lesson) -> Tensor:
        return self._activity_labels(settings, batch)[1]

    def _activity_labels(self, settings: ActivitySettings, batch: Lesson) -> tuple[Tensor, Tensor]:
        silence, noise = settings.silence_weight, self.noise_output
        return activity_targets(batch.target, batch.known, silence_weight=silence, noise_output=noise)

    def _lsep(self, output: Output, batch: Lesson) -> Tensor:
        return lsep(output.clip_logits, batch.clip_target, self._clip_weights(batch))

    def _rankable(self, batch: Lesson) -> Tensor:
        return rankable(batch.clip_target, self._clip_weights(batch))

    def _lwlrap(self, settings: LwlrapSettings, output: Output, batch: Lesson) -> Tensor:
        weights = self._clip_weights(batch)
        return 1 - soft_lwlrap(output.clip_logits, batch.clip_target, weights, settings.temperature)

    def _center(self, output: Output, batch: Lesson) -> Tensor:
        assert self.center is not None  # there is no such term without it
        value: Tensor = self.center(output.embedding, self._present_weights(batch))
        return value


def build_loss(
    settings: LossSettings, space: LabelSpace, embedding_dim: int | None = None, *, teacher_weight: float = 0.0
) -> SedLoss:
    """The loss for a label space; ``embedding_dim`` (``model.embedding_dim``) is needed for the center loss only."""
    return SedLoss(settings, space, embedding_dim, teacher_weight=teacher_weight)


def _cell_loss(cell: CellSettings) -> Callable[..., Tensor]:
    """Function of (logits, target, pos_weight)."""
    match cell:
        case BceSettings():
            return bce
        case FocalSettings():
            return partial(focal, gamma=cell.gamma, alpha=cell.alpha)
        case AsymmetricSettings():
            positive, negative = cell.gamma_positive, cell.gamma_negative
            return partial(asymmetric, gamma_positive=positive, gamma_negative=negative, margin=cell.margin)
        case _:
            assert_never(cell)


def _pos_weight(settings: LossSettings, space: LabelSpace) -> Tensor | None:
    """(K,) or None."""
    values = settings.pos_weight
    if not values:
        return None
    if len(values) not in (1, space.num_outputs):
        raise ConfigError(f"loss.pos_weight has {len(values)} values, need 1 or one per output ({space.num_outputs})")
    return torch.tensor(values).expand(space.num_outputs).clone()
