"""From the features of a frame to a logit per output: a linear layer, or the likeness to learned prototypes."""

import math
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.settings import BY_KIND, settings

SHARPNESS = 10.0  # of the maximum over prototypes: the mean of equal likenesses, nearly the largest of unequal ones


@settings
class LinearSettings:
    """One direction in feature space per output."""

    kind: Literal["linear"] = "linear"


@settings
class PrototypeSettings:
    """Several places on the unit sphere of features per output: a species need not sound one way only."""

    kind: Literal["prototypes"] = "prototypes"
    per_output: int = 4

    def __post_init__(self) -> None:
        """Check the rules of the fields."""
        if not 1 <= self.per_output <= 2**10:
            raise ValueError(f"per_output={self.per_output} must be 1 or more, and at most 2^10")


ClassifierSettings = Annotated[LinearSettings | PrototypeSettings, BY_KIND]


class Prototypes(nn.Module):
    """Features (B, T, D) -> logits (B, T, K): scale_k * soft maximum over prototypes of the cosine + bias_k.

    Prototypical networks (Snell et al. 2017, arXiv:1703.05175) with learned prototypes, several per class on the frames
    of a frozen or tuned encoder as in AudioProtoPNet (Heinrich et al. 2024, arXiv:2404.10420), by cosine. The soft
    maximum is ``log(mean(exp(10 c))) / 10``. Scale and bias are learned per output, the bias starts where an output
    says ``initial_probability`` for features that are like none of its prototypes (cosine 0).
    """

    def __init__(self, dim: int, num_outputs: int, per_output: int, initial_probability: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.prototypes = nn.Parameter(torch.randn(num_outputs, per_output, dim) / math.sqrt(dim))
        self.log_scale = nn.Parameter(torch.full((num_outputs,), math.log(10.0)))
        self.bias = nn.Parameter(torch.full((num_outputs,), math.log(initial_probability / (1 - initial_probability))))

    def forward(self, features: Tensor) -> Tensor:
        """Cosines, soft maximum and logits in float32, whatever the autocast type."""
        with torch.autocast(features.device.type, enabled=False):
            places = F.normalize(self.norm(features.to(self.norm.weight.dtype)).float(), dim=-1)
            prototypes = F.normalize(self.prototypes.float(), dim=-1)
            cosine = torch.einsum("btd,knd->btkn", places, prototypes)
            number = math.log(cosine.shape[-1])
            likeness = (torch.logsumexp(SHARPNESS * cosine, dim=-1) - number) / SHARPNESS
            return likeness * self.log_scale.float().exp() + self.bias.float()


def make_classifier(
    settings: ClassifierSettings, dim: int, num_outputs: int, initial_probability: float
) -> nn.Linear | Prototypes:
    """The layer that ``settings`` describe; before training every output says about ``initial_probability``."""
    if isinstance(settings, PrototypeSettings):
        return Prototypes(dim, num_outputs, settings.per_output, initial_probability)
    linear = nn.Linear(dim, num_outputs)
    nn.init.constant_(linear.bias, math.log(initial_probability / (1 - initial_probability)))
    return linear
