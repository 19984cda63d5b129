"""What a transformers config of the wav2vec family may say, before transformers sees it.

The sizes are several times those of the largest published models: beyond them is a mistake, or an attack on memory.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.rules import FLAG, Many, Maybe, OneOf, Real, Rule, Whole, check_values

ATTENTION = ("sdpa", "eager")  # transformers takes names of hub repositories here, and runs the code in them
ATTENTION_KEYS = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "swish", "tanh")
MOST_CONV_WEIGHTS = 2**27  # 512 MiB; the published models have 4 million
MOST_WEIGHTS = 2**32  # 16 GiB; the largest published model has half of that
_PROBABILITY, _WIDTH, _SIZE = Real(0, 1), Whole(1, 2**13), Whole(1, 2**16)
_WIDTHS = Many(_WIDTH)

RULES: Mapping[str, Rule] = {
    "hidden_size": _WIDTH,
    "num_hidden_layers": Whole(1, 256),
    "num_attention_heads": Whole(1, 256),
    "intermediate_size": _SIZE,
    "conv_dim": _WIDTHS,
    "conv_kernel": _WIDTHS,
    "conv_stride": _WIDTHS,
    "conv_bias": FLAG,
    "num_feat_extract_layers": Whole(1, 64),
    "num_conv_pos_embeddings": _WIDTH,
    "num_conv_pos_embedding_groups": _WIDTH,
    "conv_pos_kernel_size": _WIDTH,
    "conv_depthwise_kernel_size": _WIDTH,
    "max_source_positions": _SIZE,
    "num_buckets": _SIZE,
    "max_bucket_distance": _SIZE,
    "position_embeddings_type": Maybe(OneOf(("relative", "rotary"))),
    "feat_extract_norm": OneOf(("group", "layer")),
    "feat_proj_layer_norm": FLAG,
    "do_stable_layer_norm": FLAG,
    "hidden_act": OneOf(ACTIVATIONS),
    "feat_extract_activation": OneOf(ACTIVATIONS),
    "layer_norm_eps": Real(0, 1),
    "initializer_range": Real(0, 10),
    "apply_spec_augment": FLAG,
    "add_adapter": FLAG,
    "num_adapter_layers": Whole(0, 64),
    "adapter_kernel_size": _WIDTH,
    "adapter_stride": _WIDTH,
    "adapter_attn_dim": Maybe(_WIDTH),
    "output_hidden_size": Maybe(_WIDTH),
    "num_codevectors_per_group": _SIZE,
    "num_codevector_groups": _WIDTH,
    "codevector_dim": _SIZE,
    "proj_codevector_dim": _SIZE,
    "num_negatives": _SIZE,
    "contrastive_logits_temperature": Real(1e-6, 1e6),
    "diversity_loss_weight": Real(0, 1e6),
    "vocab_size": Maybe(Whole(1, 2**20)),
    "mask_time_prob": _PROBABILITY,
    "mask_time_length": _SIZE,
    "mask_feature_prob": _PROBABILITY,
    "mask_feature_length": _SIZE,
    "sample_rate_hz": Whole(1, 10**7),
    **dict.fromkeys(
        (
            "hidden_dropout",
            "attention_dropout",
            "activation_dropout",
            "feat_proj_dropout",
            "feat_quantizer_dropout",
            "feat_extract_dropout",
            "final_dropout",
            "layerdrop",
        ),
        _PROBABILITY,
    ),
    **dict.fromkeys(ATTENTION_KEYS, Maybe(OneOf(ATTENTION))),
}
REFUSED = ("quantization_config", "experts_implementation", "use_kernels", "kernel_config", "base_model_name_or_path")


def check_backbone(values: Mapping[str, Any], family: Sequence[str], source: str) -> None:
    """Hold the plain values of a config against :data:`RULES` and the rules between them.

    Raises:
        CheckpointError: naming source, key, value and rule.
    """
    if values.get("model_type") not in family:
        raise CheckpointError(f"{source}: model_type {values.get('model_type')!r}, need one of {', '.join(family)}")
    if given := [key for key in REFUSED if values.get(key) is not None]:
        raise CheckpointError(f"{source}: {given[0]} is nothing that an encoder here has")
    check_values(values, RULES, source)
    convs = [values.get(f"conv_{name}") for name in ("dim", "kernel", "stride")]
    if all(convs):
        check_convolutions(list(zip(*convs, strict=False)), source)
        if len({len(list(conv)) for conv in convs if conv}) > 1:
            raise CheckpointError(f"{source}: conv_dim, conv_kernel and conv_stride must have one entry per layer")
    _check_widths(values, source)


def check_convolutions(layers: Sequence[tuple[int, int, int]], source: str) -> None:
    """Refuse convolutions of (channels, kernel, stride) that multiply to gigabytes, or to frames of minutes.

    Raises:
        CheckpointError: naming source and rule.
    """
    weights, before, hop = 0, 1, 1
    for channels, kernel, stride in layers:
        weights, before, hop = weights + before * channels * kernel, channels, hop * stride
    if weights > MOST_CONV_WEIGHTS:
        raise CheckpointError(
            f"{source}: its convolutions have {weights:.1e} weights, at most {MOST_CONV_WEIGHTS:.1e}"
        )
    if hop > 2**20:
        raise CheckpointError(f"{source}: its convolutions make frames of {hop:.1e} samples, at most 2^20")


def _check_widths(values: Mapping[str, Any], source: str) -> None:
    """Heads and groups divide the width; the transformer and the code book are of a size that is built somewhere."""
    width, heads = values.get("hidden_size", 768), values.get("num_attention_heads", 12)
    groups, kernel = values.get("num_conv_pos_embedding_groups", 16), values.get("num_conv_pos_embeddings", 128)
    for name, divisor in (("num_attention_heads", heads), ("num_conv_pos_embedding_groups", groups)):
        if width % divisor:
            raise CheckpointError(f"{source}: {name}={divisor} must divide hidden_size={width}")
    layer = 4 * width**2 + 2 * width * values.get("intermediate_size", 3072)
    codes = values.get("num_codevectors_per_group", 320) * values.get("codevector_dim", 256)
    weights = values.get("num_hidden_layers", 12) * layer + width**2 // groups * kernel + codes
    if weights > MOST_WEIGHTS:
        raise CheckpointError(f"{source}: describes {weights:.1e} weights, at most {MOST_WEIGHTS:.1e}")
