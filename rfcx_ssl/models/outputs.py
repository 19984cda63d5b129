"""What every model returns, and how its K outputs become S species."""

from dataclasses import dataclass

import torch
from torch import Tensor
from transformers.utils.generic import ModelOutput

from rfcx_ssl.species.space import LabelSpace


@dataclass
class SedOutput(ModelOutput):
    """B clips, T frames on the model's grid, K outputs of its label space, D features. Logits are float32."""

    frame_logits: Tensor | None = None  # (B, T, K)
    clip_logits: Tensor | None = None  # (B, K)
    activity_logits: Tensor | None = None  # (B, T), only from a model with an activity head
    embedding: Tensor | None = None  # (B, D) mean over frames of what the head sees


def merge_outputs(values: Tensor, space: LabelSpace) -> Tensor:
    """Scores (..., K) of the outputs -> (..., S) of the species: max over each species' outputs, noise dropped.

    A species without any output scores 0.
    """
    keep = [k for k, species in enumerate(space.output_species) if species >= 0]
    species = [space.output_species[k] for k in keep]
    if keep == list(range(values.shape[-1])) and species == list(range(space.num_species)):
        return values
    index = torch.tensor(species, device=values.device).expand(*values.shape[:-1], len(keep))
    merged = values.new_zeros(*values.shape[:-1], space.num_species)
    return merged.scatter_reduce(-1, index, values[..., keep], reduce="amax", include_self=False)
