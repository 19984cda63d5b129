"""A model for other species out of a trained one: everything it learned, and the rows of the outputs both have."""

import copy

import torch
from torch import Tensor
from transformers import PreTrainedConfig

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.species.space import LabelSpace, species_difference


def warm_start(trained: RainforestSedModel, space: LabelSpace, *, extend: bool) -> RainforestSedModel:
    """A model of ``trained``'s architecture that answers in ``space``, with its weights.

    An output of ``space`` takes the row of the trained output that stands for the same species (by name) and song type;
    the others start as in a new model.

    Raises:
        ConfigError: the species or outputs differ and ``extend`` is not set, or nothing is shared.
    """
    old, new = outputs_by_meaning(trained.space), outputs_by_meaning(space)
    if list(old) != list(new) and not extend:
        raise ConfigError(
            f"start.model: {species_difference(trained.space, space)}; start.extend=true starts from it all the same, "
            f"with the rows of the {len(old.keys() & new.keys())} outputs that both have"
        )
    shared = [(old[meaning], new[meaning]) for meaning in new if meaning in old]
    if not shared:
        raise ConfigError("start.model: none of its outputs is among the data's; start from an encoder instead")
    model = RainforestSedModel(config_for(trained.config, space))
    values, axes = trained.state_dict(), output_axes(trained.config, trained.space)
    for name, tensor in model.state_dict().items():
        if name in axes:
            _copy_rows(values[name], tensor, shared, axes[name])
        else:
            tensor.copy_(values[name])
    return model


def outputs_by_meaning(space: LabelSpace) -> dict[tuple[str | None, int | None], int]:
    """Outputs by the name of their species (None: noise) and the song type they are limited to."""
    meanings = zip(space.output_species, space.output_songtype, strict=True)
    return {
        (space.species_names[species] if species >= 0 else None, song): output
        for output, (species, song) in enumerate(meanings)
    }


def config_for(config: PreTrainedConfig, space: LabelSpace) -> RainforestSedConfig:
    """The same model for another label space; how the old one was validated is forgotten."""
    values = copy.deepcopy(config.to_diff_dict())
    for key in ("id2label", "label2id", "model_type", "transformers_version", "architectures", "dtype", "auto_map"):
        values.pop(key, None)
    values |= {"windows": None, "species": space.species.rows(), "output_names": space.output_names}
    values |= {"output_species": space.output_species, "output_songtype": space.output_songtype}
    return RainforestSedConfig(**values)


def output_axes(config: PreTrainedConfig, space: LabelSpace) -> dict[str, int]:
    """Axis of the outputs in every tensor that has one: where a model with one output more is larger."""
    wider = LabelSpace(
        space.species,
        (*space.output_names, "one more"),
        (*space.output_species, 0),
        (*space.output_songtype, max(call.songtype_id for call in space.species.calls) + 1),
    )
    with torch.device("meta"):
        shapes = [RainforestSedModel(config_for(config, item)).state_dict() for item in (space, wider)]
    pairs = {name: (tensor.shape, shapes[1][name].shape) for name, tensor in shapes[0].items()}
    return {
        name: next(axis for axis, (one, other) in enumerate(zip(narrow, wide, strict=True)) if one != other)
        for name, (narrow, wide) in pairs.items()
        if narrow != wide
    }


@torch.no_grad()
def _copy_rows(source: Tensor, target: Tensor, pairs: list[tuple[int, int]], axis: int) -> None:
    for old, new in pairs:
        target.select(axis, new).copy_(source.select(axis, old))
