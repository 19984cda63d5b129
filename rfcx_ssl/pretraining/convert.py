"""fairseq wav2vec 2.0, on waveforms or on log-mel, <-> transformers: a renaming of tensors and settings, in both directions.

Both libraries compute the same network, so no number changes; :mod:`rfcx_ssl.pretraining.parity` measures that on
audio. Two details are not renamings. fairseq leaves out the projection after the convolutions where both sides have
the same width: it becomes an identity matrix. fairseq stores its weight norm as ``weight_g``/``weight_v`` or, under a
newer torch, as ``parametrizations.weight.original0/1``: both are read.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModel,
    AutoModelForPreTraining,
    PreTrainedModel,
    Wav2Vec2Config,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.models.backbone_rules import check_backbone
from rfcx_ssl.models.wav2vec import FAMILY, frame_geometry
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint, parse_conv_layers

NORMALIZE_EPS = 1e-5  # fairseq normalizes a waveform with torch's layer_norm; transformers' extractor uses 1e-7
_ACTIVATIONS = {"gelu": "gelu", "gelu_accurate": "gelu_new", "gelu_fast": "gelu_new", "relu": "relu", "swish": "silu"}

# fairseq name -> transformers name; "{i}" is a layer number. Tried in this order.
_ENCODER_NAMES = {
    **{f"feature_extractor.{part}.": f"feature_extractor.{part}." for part in ("mel", "convs", "project", "norm")},
    "feature_extractor.conv_layers.{i}.0.": "feature_extractor.conv_layers.{i}.conv.",
    "feature_extractor.conv_layers.{i}.2.1.": "feature_extractor.conv_layers.{i}.layer_norm.",
    "feature_extractor.conv_layers.{i}.2.": "feature_extractor.conv_layers.{i}.layer_norm.",
    "post_extract_proj.": "feature_projection.projection.",
    "layer_norm.": "feature_projection.layer_norm.",
    "mask_emb": "masked_spec_embed",
    "encoder.pos_conv.0.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv.0.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    "encoder.pos_conv.0.": "encoder.pos_conv_embed.conv.",
    "encoder.layer_norm.": "encoder.layer_norm.",
    "encoder.layers.{i}.self_attn_layer_norm.": "encoder.layers.{i}.layer_norm.",
    "encoder.layers.{i}.self_attn.": "encoder.layers.{i}.attention.",
    "encoder.layers.{i}.fc1.": "encoder.layers.{i}.feed_forward.intermediate_dense.",
    "encoder.layers.{i}.fc2.": "encoder.layers.{i}.feed_forward.output_dense.",
    "encoder.layers.{i}.final_layer_norm.": "encoder.layers.{i}.final_layer_norm.",
}
_HEAD_NAMES = {
    "quantizer.vars": "quantizer.codevectors",
    "quantizer.weight_proj.": "quantizer.weight_proj.",
    "project_q.": "project_q.",
    "final_proj.": "project_hid.",
}


def to_transformers(checkpoint: FairseqCheckpoint, heads: bool = False) -> PreTrainedModel:
    """Build the transformers model with the weights of a fairseq checkpoint, in eval mode, float32.

    Args:
        checkpoint: what :func:`rfcx_ssl.pretraining.checkpoint.load_fairseq_checkpoint` read.
        heads: also carry the quantizer and projections (``AutoModelForPreTraining``), to continue pretraining.

    Raises:
        CheckpointError: a setting has no counterpart in transformers, or a tensor is missing, left over or misshapen.
    """
    config = encoder_config(checkpoint)
    kind: Any = AutoModelForPreTraining if heads else AutoModel
    model: PreTrainedModel = kind.from_config(config, dtype=torch.float32)
    names = _HEAD_NAMES | {ours: f"wav2vec2.{theirs}" for ours, theirs in _ENCODER_NAMES.items()}
    renamed = rename_weights(checkpoint.weights, names if heads else _ENCODER_NAMES)
    _add_identity_projection(renamed, config, prefix="wav2vec2." if heads else "")
    heads_only = () if heads else ("quantizer.", "project_q.", "final_proj.", "target_glu.")
    left_over = [
        name for name in checkpoint.weights if _rename(name, names) is None and not name.startswith(heads_only)
    ]
    expected = model.state_dict()
    wrong = [
        f"{name} has shape {tuple(renamed[name].shape)}, needs {tuple(expected[name].shape)}"
        for name in sorted(set(renamed) & set(expected))
        if renamed[name].shape != expected[name].shape
    ]
    wrong += [f"{name} is missing" for name in sorted(set(expected) - set(renamed))]
    wrong += [f"{name} is one too many" for name in sorted(set(renamed) - set(expected))]
    wrong += [f"{name} is unknown" for name in sorted(left_over) if not name.startswith("target_glu.")]
    if wrong:
        raise CheckpointError(f"{checkpoint.path}: {'; '.join(wrong[:5])} ({len(wrong)} problems)")
    model.load_state_dict(renamed)
    model.eval()
    return model


def encoder_config(checkpoint: FairseqCheckpoint) -> Wav2Vec2Config:
    """The transformers config of a checkpoint; ``config.rfcx_ssl`` holds sample rate, hop and normalization.

    Raises:
        CheckpointError: a setting has no counterpart in transformers.
    """
    settings = checkpoint.model
    _refuse_unsupported(checkpoint)
    width = int(settings.get("encoder_embed_dim", 768))
    final_dim = int(settings.get("final_dim") or 0) or width
    config = _config_of_frames(
        checkpoint,
        hidden_size=width,
        num_hidden_layers=int(settings.get("encoder_layers", 12)),
        num_attention_heads=int(settings.get("encoder_attention_heads", 12)),
        intermediate_size=int(settings.get("encoder_ffn_embed_dim", 3072)),
        hidden_act=_ACTIVATIONS[settings.get("activation_fn", "gelu")],
        hidden_dropout=float(settings.get("dropout", 0.1)),
        attention_dropout=float(settings.get("attention_dropout", 0.1)),
        activation_dropout=float(settings.get("activation_dropout", 0.0)),
        feat_proj_dropout=float(settings.get("dropout_input", 0.0)),
        feat_quantizer_dropout=float(settings.get("dropout_features", 0.0)),
        final_dropout=0.0,
        layerdrop=float(settings.get("encoder_layerdrop", 0.0)),
        num_conv_pos_embeddings=int(settings.get("conv_pos", 128)),
        num_conv_pos_embedding_groups=int(settings.get("conv_pos_groups", 16)),
        do_stable_layer_norm=bool(settings.get("layer_norm_first", False)),
        apply_spec_augment=False,  # fine-tuning turns it on where it wants it; pretraining masks by itself
        mask_time_prob=float(settings.get("mask_prob", 0.65)),
        mask_time_length=int(settings.get("mask_length", 10)),
        num_codevectors_per_group=int(settings.get("latent_vars", 320)),
        num_codevector_groups=int(settings.get("latent_groups", 2)),
        codevector_dim=int(settings.get("latent_dim") or 0) or final_dim,
        proj_codevector_dim=final_dim,
        num_negatives=int(settings.get("num_negatives", 100)),
        contrastive_logits_temperature=float(settings.get("logit_temp", 0.1)),
    )
    config.rfcx_ssl = {
        "sample_rate_hz": sample_rate_hz(checkpoint),
        "hop_samples": frame_geometry(config)[0],
        "normalize": bool(checkpoint.task.get("normalize", False)),
        "normalize_eps": NORMALIZE_EPS,
    }
    return config


def _config_of_frames(checkpoint: FairseqCheckpoint, **common: Any) -> Wav2Vec2Config:  # noqa: ANN401 - config keys
    """The config of ``common`` with the part that says how a waveform becomes frames."""
    settings, source = checkpoint.model, str(checkpoint.path)
    if settings.get("_name") == Wav2Vec2MelConfig.model_type:
        common |= {"mel_extractor": settings["mel_extractor"] or {}, "sample_rate_hz": sample_rate_hz(checkpoint)}
        check_backbone({"model_type": Wav2Vec2MelConfig.model_type, **common}, FAMILY, source)
        try:
            return Wav2Vec2MelConfig(**common)
        except ConfigError as error:
            raise CheckpointError(f"{source}: model.{error}") from None
    layers = parse_conv_layers(settings["conv_feature_layers"])
    common |= dict(
        feat_extract_norm="layer" if settings.get("extractor_mode") == "layer_norm" else "group",
        conv_dim=[channels for channels, _, _ in layers],
        conv_kernel=[kernel for _, kernel, _ in layers],
        conv_stride=[step for _, _, step in layers],
        conv_bias=bool(settings.get("conv_bias", False)),
    )
    check_backbone({"model_type": Wav2Vec2Config.model_type, **common}, FAMILY, source)
    return Wav2Vec2Config(**common)


def fairseq_settings(config: Wav2Vec2Config) -> dict[str, Any]:
    """The settings of fairseq's ``model`` that build the network of a transformers config; undoes :func:`encoder_config`.

    Raises:
        CheckpointError: the config has something that fairseq's wav2vec 2.0 cannot compute.
    """
    activations = {theirs: ours for ours, theirs in reversed(_ACTIVATIONS.items())}
    if config.hidden_act not in activations or config.feat_extract_activation != "gelu":
        raise CheckpointError(
            f"hidden_act={config.hidden_act!r}, feat_extract_activation={config.feat_extract_activation!r}: "
            f"fairseq has {', '.join(sorted(activations))}, and gelu in the feature extractor"
        )
    if config.add_adapter or config.adapter_attn_dim:
        raise CheckpointError("the encoder has adapters, which fairseq does not know")
    layers = list(zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True))
    is_layer_norm = config.feat_extract_norm == "layer"
    frames: dict[str, Any] = {
        "_name": "wav2vec2",
        "extractor_mode": "layer_norm" if is_layer_norm else "default",
        "conv_feature_layers": repr([tuple(int(number) for number in layer) for layer in layers]),
        "conv_bias": bool(config.conv_bias),
    }
    if isinstance(config, Wav2Vec2MelConfig):
        frames = {"_name": config.model_type, "mel_extractor": config.mel_extractor}
    return {
        **frames,
        "encoder_layers": config.num_hidden_layers,
        "encoder_embed_dim": config.hidden_size,
        "encoder_ffn_embed_dim": config.intermediate_size,
        "encoder_attention_heads": config.num_attention_heads,
        "activation_fn": activations[config.hidden_act],
        "layer_norm_first": bool(config.do_stable_layer_norm),
        "conv_pos": config.num_conv_pos_embeddings,
        "conv_pos_groups": config.num_conv_pos_embedding_groups,
        "quantize_targets": True,
        "final_dim": config.proj_codevector_dim,
        "latent_vars": config.num_codevectors_per_group,
        "latent_groups": config.num_codevector_groups,
        "latent_dim": config.codevector_dim,
        "logit_temp": config.contrastive_logits_temperature,
    }


def feature_extractor(checkpoint: FairseqCheckpoint) -> Wav2Vec2FeatureExtractor:
    """The preprocessor of a checkpoint: its sample rate, and whether a waveform is normalized."""
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=sample_rate_hz(checkpoint),
        padding_value=0.0,
        do_normalize=bool(checkpoint.task.get("normalize", False)),
        return_attention_mask=checkpoint.model.get("extractor_mode") == "layer_norm"
        or checkpoint.model.get("_name") == Wav2Vec2MelConfig.model_type,  # both know padding from audio
    )


def sample_rate_hz(checkpoint: FairseqCheckpoint) -> int:
    """Sample rate the model was trained at; an error where the checkpoint does not say."""
    rate = checkpoint.task.get("sample_rate")
    if not isinstance(rate, int) or rate < 1:
        raise CheckpointError(f"{checkpoint.path}: task.sample_rate={rate!r}; need the rate the model was trained at")
    return rate


def to_fairseq(model: Wav2Vec2Model | Wav2Vec2ForPreTraining) -> dict[str, Tensor]:
    """The weights of a transformers model under fairseq's names (for ``checkpoint.finetune_from_model``).

    A ``Wav2Vec2Model`` has no quantizer: the result then lacks it, and fairseq must be told not to be strict.
    """
    layer_mode = model.config.feat_extract_norm == "layer"
    pretraining = isinstance(model, Wav2Vec2ForPreTraining)
    prefix = "wav2vec2." if pretraining else ""
    norm = "feature_extractor.conv_layers.{i}.2." + ("1." if layer_mode else "")
    skipped = "feature_extractor.conv_layers.{i}.2." + ("" if layer_mode else "1.")
    names = {prefix + theirs: ours for ours, theirs in _ENCODER_NAMES.items() if ours not in (norm, skipped)}
    names[prefix + "feature_extractor.conv_layers.{i}.layer_norm."] = norm
    if pretraining:
        names |= {theirs: ours for ours, theirs in _HEAD_NAMES.items()}
    return rename_weights(model.state_dict(), names)


def rename_weights(weights: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """Rename tensors by the first matching prefix of ``names`` (``{i}`` matches a number); others are left out."""
    renamed = {_rename(name, names): tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in renamed.items() if name is not None}


def _rename(name: str, names: Mapping[str, str]) -> str | None:
    for old, new in names.items():
        found = re.match(re.escape(old).replace(r"\{i\}", r"(\d+)"), name)
        if found and (old.endswith(".") or found.end() == len(name)):
            number = found.group(1) if found.groups() else ""
            return new.replace("{i}", number) + name[found.end() :]
    return None


def _add_identity_projection(weights: dict[str, Tensor], config: Wav2Vec2Config, prefix: str) -> None:
    """fairseq has no projection where the convolutions are as wide as the transformer: add the identity."""
    name = f"{prefix}feature_projection.projection"
    if f"{name}.weight" not in weights and config.conv_dim[-1] == config.hidden_size:
        weights[f"{name}.weight"] = torch.eye(config.hidden_size)
        weights[f"{name}.bias"] = torch.zeros(config.hidden_size)


def _refuse_unsupported(checkpoint: FairseqCheckpoint) -> None:
    """Settings without a counterpart in transformers' Wav2Vec2Model."""
    allowed: dict[str, tuple[Any, ...]] = {
        "layer_type": ("transformer",),
        "pos_conv_depth": (1,),
        "conv_pos_batch_norm": (False,),
        "quantize_input": (False,),
        "crop_seq_to_multiple": (1,),
        "extractor_mode": ("default", "layer_norm"),
        "activation_fn": tuple(_ACTIVATIONS),
    }
    for key, values in allowed.items():
        if key in checkpoint.model and checkpoint.model[key] not in values:
            known = " or ".join(map(str, values))
            raise CheckpointError(
                f"{checkpoint.path}: model.{key}={checkpoint.model[key]!r}; transformers has {known}"
            )
