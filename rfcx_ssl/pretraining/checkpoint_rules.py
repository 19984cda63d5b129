"""What the settings and tensors of a fairseq checkpoint may be, before anything is made of them."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.rules import FLAG, Maybe, Object, Real, Rule, Text, Whole, check_values

_PROBABILITY, _WIDTH, _SIZE = Real(0, 1), Whole(1, 2**13), Whole(1, 2**16)
MODEL_RULES: Mapping[str, Rule] = {
    "_name": Maybe(Text()),
    "arch": Maybe(Text()),
    "conv_feature_layers": Text(),
    "mel_extractor": Maybe(Object()),
    "extractor_mode": Text(),
    "activation_fn": Text(),
    "encoder_layers": Whole(1, 256),
    "encoder_embed_dim": _WIDTH,
    "encoder_ffn_embed_dim": _SIZE,
    "encoder_attention_heads": Whole(1, 256),
    "layer_norm_first": FLAG,
    "conv_bias": FLAG,
    "conv_pos": _WIDTH,
    "conv_pos_groups": _WIDTH,
    "final_dim": Maybe(Whole(0, 2**16)),
    "latent_dim": Maybe(Whole(0, 2**16)),
    "latent_vars": _SIZE,
    "latent_groups": _WIDTH,
    "num_negatives": Whole(0, 2**16),
    "logit_temp": Real(1e-6, 1e6),
    "mask_prob": _PROBABILITY,
    "mask_length": _SIZE,
    **dict.fromkeys(
        (
            "dropout",
            "attention_dropout",
            "activation_dropout",
            "dropout_input",
            "dropout_features",
            "encoder_layerdrop",
        ),
        _PROBABILITY,
    ),
}
TASK_RULES: Mapping[str, Rule] = {"sample_rate": Maybe(Whole(1, 10**7)), "normalize": Maybe(FLAG)}


def check_settings(model: Mapping[str, Any], task: Mapping[str, Any], source: str) -> None:
    """Refuse settings of a wrong type or size; :class:`CheckpointError` names source, key, value and rule."""
    check_values(model, MODEL_RULES, source, "model.")
    check_values(task, TASK_RULES, source, "task.")


def check_weights(weights: Mapping[Any, Any], source: str) -> dict[str, Tensor]:
    """Tensors by name, as float32; what is no tensor of finite floats is refused by name.

    Raises:
        CheckpointError: naming ``source`` and the tensor.
    """
    found = {}
    for name, tensor in weights.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            raise CheckpointError(f"{source}: model[{name!r:.80}] must be a tensor, is a {type(tensor).__name__}")
        is_plain = tensor.layout == torch.strided and tensor.is_floating_point() and not tensor.is_meta
        # a view may say that one number is a million of them
        if not is_plain or tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise CheckpointError(f"{source}: {name} of type {tensor.dtype} is no plain tensor of floats")
        if not torch.isfinite(tensor).all():
            raise CheckpointError(f"{source}: {name} is not finite")
        found[name] = tensor.float()
    return found
