"""The loss a model trains on: frame and clip cells with known masks, plus weighted extra terms."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.labels import Batch
from rfcx_ssl.losses.activity import activity_targets
from rfcx_ssl.losses.cells import asymmetric, bce, focal
from rfcx_ssl.losses.center import CenterLoss
from rfcx_ssl.losses.ranking import lsep, soft_lwlrap
from rfcx_ssl.losses.settings import LossSettings
from rfcx_ssl.losses.weights import box_weights, cell_weights, weighted_mean
from rfcx_ssl.species import LabelSpace


class Output(Protocol):
    """What a loss reads of a model's output: (B, T, K), (B, K), (B, T) or None, (B, D)."""

    frame_logits: Tensor
    clip_logits: Tensor
    activity_logits: Tensor | None
    embedding: Tensor


class SedLoss(nn.Module):
    """``loss(output, batch)`` -> one weighted scalar per term, and their sum as ``"loss"``.

    With ``center_weight`` the loss has parameters of its own: give them to the optimiser.
    """

    pos_weight: Tensor | None

    def __init__(self, settings: LossSettings, space: LabelSpace, embedding_dim: int | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("pos_weight", _pos_weight(settings, space))
        self.center: CenterLoss | None = None
        if settings.center_weight:
            if embedding_dim is None:
                raise ConfigError("loss.center_weight needs the width of the model's embedding")
            self.center = CenterLoss(space.num_outputs, embedding_dim)
        cells: dict[str, Callable[..., Tensor]] = {
            "bce": bce,
            "focal": partial(focal, gamma=settings.focal_gamma, alpha=settings.focal_alpha),
            "asymmetric": partial(
                asymmetric,
                gamma_positive=settings.asymmetric_gamma_positive,
                gamma_negative=settings.asymmetric_gamma_negative,
                margin=settings.asymmetric_margin,
            ),
        }
        self.cell = cells[settings.cell]

    def forward(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """Terms by name, each already multiplied by its weight; terms of weight 0 are left out."""
        s = self.settings
        terms: dict[str, Tensor] = {}
        if s.clip_ratio < 1:
            terms["frame"] = (1 - s.clip_ratio) * self._frame(output.frame_logits, batch)
        if s.clip_ratio > 0:
            terms["clip"] = s.clip_ratio * self._clip(output.clip_logits, batch)
        if s.activity_weight:
            terms["activity"] = s.activity_weight * self._activity(output.activity_logits, batch)
        if s.lsep_weight:
            terms["lsep"] = s.lsep_weight * lsep(output.clip_logits, batch.clip_target, self._clip_weights(batch))
        if s.lwlrap_weight:
            agreement = soft_lwlrap(
                output.clip_logits, batch.clip_target, self._clip_weights(batch), s.lwlrap_temperature
            )
            terms["lwlrap"] = s.lwlrap_weight * (1 - agreement)
        if self.center is not None:
            terms["center"] = s.center_weight * self.center(output.embedding, batch.clip_target * batch.clip_known)
        terms["loss"] = torch.stack(list(terms.values())).sum()
        return terms

    def _targets(self, target: Tensor, known: Tensor) -> Tensor:
        """Smoothed targets where known, ``unknown_target`` elsewhere."""
        smoothed = target * (1 - self.settings.label_smoothing) + self.settings.label_smoothing / 2
        return torch.where(known > 0, smoothed, torch.full_like(smoothed, self.settings.unknown_target))

    def _frame(self, logits: Tensor, batch: Batch) -> Tensor:
        unknown = self.settings.unknown_weight
        if self.settings.weighting == "box":
            weights = box_weights(batch.target, batch.known, unknown)
        else:
            weights = cell_weights(batch.known, unknown)
        return weighted_mean(self.cell(logits, self._targets(batch.target, batch.known), self.pos_weight), weights)

    def _clip(self, logits: Tensor, batch: Batch) -> Tensor:
        values = self.cell(logits, self._targets(batch.clip_target, batch.clip_known), self.pos_weight)
        return weighted_mean(values, self._clip_weights(batch))

    def _clip_weights(self, batch: Batch) -> Tensor:
        return cell_weights(batch.clip_known, self.settings.unknown_weight)

    def _activity(self, logits: Tensor | None, batch: Batch) -> Tensor:
        if logits is None:
            raise ConfigError("loss.activity_weight > 0 needs model.head.activity=auxiliary or multiply")
        target, known = activity_targets(batch.target, batch.known)
        return weighted_mean(bce(logits, target), known)


def build_loss(settings: LossSettings, space: LabelSpace, embedding_dim: int | None = None) -> SedLoss:
    """The loss for a label space; ``embedding_dim`` (``model.embedding_dim``) is needed for the centre loss only."""
    return SedLoss(settings, space, embedding_dim)


def _pos_weight(settings: LossSettings, space: LabelSpace) -> Tensor | None:
    """(K,) or None."""
    values = settings.pos_weight
    if not values:
        return None
    if len(values) not in (1, space.num_outputs):
        raise ConfigError(f"loss.pos_weight has {len(values)} values, need 1 or one per output ({space.num_outputs})")
    return torch.tensor(values).expand(space.num_outputs).clone()
