"""Read an encoder directory of transformers: its config, what its preprocessor says, its weights.

Every ``encoder`` here is a directory, a hub id or ``id@revision``. No code that comes with one is ever run.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, PreTrainedConfig
from transformers.utils import logging as hf_logging

from rfcx_ssl.errors import CheckpointError, first_line
from rfcx_ssl.hub_id import hub_complaint, split_revision
from rfcx_ssl.models.backbone_rules import check_backbone
from rfcx_ssl.models.rules import FLAG, Rule, Whole, check_values
from rfcx_ssl.models.stored import FLOATS, read_config, read_object, stored_file, stored_tensors

PREPROCESSOR_RULES: Mapping[str, Rule] = {"sampling_rate": Whole(1, 10**7), "do_normalize": FLAG}
UNLOADABLE = (
    OSError,
    ValueError,
    RuntimeError,
    TypeError,
    KeyError,
    AttributeError,
    EOFError,
    UnpicklingError,
)
#: What an encoder does not need: heads of pretraining and of tasks that it was fine-tuned for.
HEADS = (
    "quantizer.",
    "project_q.",
    "project_hid.",
    "final_proj.",
    "lm_head.",
    "classifier.",
    "projector.",
    "label_embs",
)
COUNTS = ("num_batches_tracked",)  # of batch norms: whole numbers
MISSING_IS_FINE = ("masked_spec_embed",)  # only used by masking, absent from encoders trained without it
_NOT_ARCHITECTURE = ("transformers_version", "_name_or_path", "architectures", "dtype", "id2label", "label2id")


def backbone_values(encoder: str, family: tuple[str, ...], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The transformers config of ``encoder`` as plain values, with our training settings in it.

    Raises:
        CheckpointError: there is no config.json, its ``model_type`` is not one of ``family``, or it breaks a rule of
            :mod:`rfcx_ssl.models.backbone_rules`.
    """
    values = encoder_config(encoder, family).to_dict() | dict(overrides)
    return {key: value for key, value in values.items() if key not in _NOT_ARCHITECTURE}


def encoder_config(encoder: str, family: tuple[str, ...]) -> PreTrainedConfig:
    """The transformers config of an encoder, checked before transformers sees it; no code is taken from there.

    Raises:
        CheckpointError: as :func:`backbone_values`.
    """
    source = f"model.encoder={encoder}"
    try:
        values = read_config(encoder)
    except CheckpointError as error:
        raise CheckpointError(f"model.encoder={error}") from None
    check_backbone(values, family, source)
    name, revision = split_revision(encoder)
    try:
        config: PreTrainedConfig = AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(f"{source}: no usable config.json ({_why(error, encoder)})") from None
    return config


def load_pretrained(kind: Any, encoder: str, **options: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    """A model of ``kind`` (``AutoModel`` ...) in float32 with the weights of an encoder, and what did not fit.

    Errors are those of transformers (:data:`UNLOADABLE`), which reads safetensors and, where there are none, tensors
    without any code.
    """
    name, revision = split_revision(encoder)
    with _quiet():
        loaded: tuple[Any, dict[str, Any]] = kind.from_pretrained(
            name,
            revision=revision or "main",
            dtype=torch.float32,
            output_loading_info=True,
            trust_remote_code=False,
            **options,
        )
    return loaded


def model_type(source: str) -> str:
    """``model_type`` in the config.json of a directory or hub id.

    Raises:
        CheckpointError: there is no config.json, or it does not say.
    """
    values = read_config(source)
    if not isinstance(values.get("model_type"), str):
        raise CheckpointError(f"{source}: its config.json has no model_type")
    return str(values["model_type"])


def preprocessing(encoder: str, sample_rate_hz: int | None) -> tuple[int, bool]:
    """Sample rate in Hz and ``do_normalize`` of the encoder's preprocessor_config.json.

    Args:
        encoder: a directory or hub id.
        sample_rate_hz: the rate to take where there is no such file; where there is one it must agree.

    Raises:
        CheckpointError: the rates differ, or none is known.
    """
    values = preprocessor_values(encoder)
    if values is None:
        if sample_rate_hz is None:
            raise CheckpointError(f"model.encoder={encoder}: no preprocessor_config.json; set model.sample_rate_hz")
        return sample_rate_hz, False
    rate_hz: int = values["sampling_rate"]
    if sample_rate_hz not in (None, rate_hz):
        raise CheckpointError(f"model.sample_rate_hz={sample_rate_hz}, but {encoder} was trained at {rate_hz} Hz")
    return rate_hz, bool(values.get("do_normalize", True))


def load_backbone(backbone: nn.Module, encoder: str) -> None:
    """Put the weights of ``encoder`` into ``backbone``; anything missing is an error, not a silent random layer.

    Raises:
        CheckpointError: the weights cannot be read, or are not those of this architecture.
    """
    weights, wrong = _read_weights(encoder, backbone.config)
    wrong += [f"{name} is not finite" for name, tensor in weights.items() if not torch.isfinite(tensor).all()]
    if wrong:
        raise CheckpointError(
            f"model.encoder={encoder}: {'; '.join(wrong)}; model.encoder_weights=random starts without weights"
        )
    backbone.load_state_dict(weights)


def _read_weights(encoder: str, config: Any) -> tuple[dict[str, Tensor], list[str]]:  # noqa: ANN401 - any HF config
    """The weights as transformers maps them to the architecture of ``config``, and what does not fit."""
    stored = stored_tensors(encoder) or {}
    try:
        model, info = load_pretrained(AutoModel, encoder, config=config)
    except UNLOADABLE as error:
        raise CheckpointError(f"model.encoder={encoder}: weights cannot be loaded ({_why(error, encoder)})") from None
    found = {
        "of another type": sorted(
            name
            for name, tensor in stored.items()
            if tensor.dtype not in FLOATS and not name.startswith(HEADS) and not name.endswith(COUNTS)
        ),
        "unknown": sorted(
            key for key in info["unexpected_keys"] if not key.startswith(HEADS) and not key.endswith(MISSING_IS_FINE)
        ),
        "missing": sorted(key for key in info["missing_keys"] if not key.endswith(MISSING_IS_FINE)),
        "of another shape": sorted(str(key) for key in info["mismatched_keys"]),
    }
    return model.state_dict(), [f"{len(keys)} tensors {how}, first {keys[0]}" for how, keys in found.items() if keys]


def load_quantizer(encoder: str) -> Any:  # noqa: ANN401 - transformers' Wav2Vec2GumbelVectorQuantizer
    """The quantizer of a ``*ForPreTraining`` directory, with its weights; None of any other, which has none.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    architectures = read_config(encoder).get("architectures")
    if not isinstance(architectures, list) or not any(str(name).endswith("ForPreTraining") for name in architectures):
        return None
    try:
        model, info = load_pretrained(AutoModelForPreTraining, encoder)
    except UNLOADABLE as error:
        raise CheckpointError(f"{encoder}: the quantizer cannot be loaded ({_why(error, encoder)})") from None
    missing = any(key.startswith("quantizer.") for key in info["missing_keys"])
    return None if missing else getattr(model, "quantizer", None)


def preprocessor_values(encoder: str) -> dict[str, Any] | None:
    """preprocessor_config.json of a directory or hub id; None where there is none.

    Raises:
        CheckpointError: it says no sample rate, or not whether waveforms are normalized.
    """
    path = stored_file(encoder, "preprocessor_config.json")
    if path is None:
        return None
    values = read_object(path)
    check_values({"sampling_rate": None} | values, PREPROCESSOR_RULES, str(path))
    return values


def _why(error: BaseException, encoder: str) -> str:
    """What transformers complains of; what the hub does, where the encoder is none of this machine."""
    return first_line(error) if Path(encoder).exists() else hub_complaint(error, encoder)


@contextmanager
def _quiet() -> Iterator[None]:
    """No load report: what is left over are pretraining heads, and what is missing is checked here."""
    verbosity, shown = hf_logging.get_verbosity(), hf_logging.is_progress_bar_enabled()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():  # torch's advice about files that are then refused
            warnings.simplefilter("ignore")
            yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if shown:
            hf_logging.enable_progress_bar()
