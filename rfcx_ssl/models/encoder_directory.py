"""Read an encoder directory of transformers: its config, what its preprocessor says, its weights.

Every ``encoder`` here is a directory, a hub id or ``id@revision``. No code that comes with one is ever run.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForPreTraining, PreTrainedConfig
from transformers.utils import logging as hf_logging
from transformers.utils.hub import cached_file

from rfcx_ssl.errors import CheckpointError, first_line
from rfcx_ssl.hub_id import hub_complaint, split_revision

MISSING_IS_FINE = ("masked_spec_embed",)  # only used by masking, absent from encoders trained without it
_NOT_ARCHITECTURE = ("transformers_version", "_name_or_path", "architectures", "dtype", "id2label", "label2id")


def backbone_values(encoder: str, family: tuple[str, ...], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """The transformers config of ``encoder`` as plain values, with our training settings in it.

    Raises:
        CheckpointError: there is no config.json, or its ``model_type`` is not one of ``family``.
    """
    try:
        config = encoder_config(encoder)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"model.encoder={encoder}: no usable config.json ({_why(error, encoder)})") from None
    if config.model_type not in family:
        raise CheckpointError(
            f"model.encoder={encoder}: model_type {config.model_type!r}, need one of {', '.join(family)}"
        )
    values = config.to_dict() | dict(overrides)
    return {key: value for key, value in values.items() if key not in _NOT_ARCHITECTURE}


def encoder_config(encoder: str) -> Any:  # noqa: ANN401 - any HF config
    """The transformers config of an encoder; errors as transformers raises them."""
    name, revision = split_revision(encoder)
    return AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)


def load_pretrained(kind: Any, encoder: str, **options: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
    """A model of ``kind`` (``AutoModel`` ...) in float32 with the weights of an encoder, and what did not fit.

    Errors are those of transformers, which reads safetensors and, where there are none, tensors without any code.
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
    try:
        name, revision = split_revision(source)
        values, _ = PreTrainedConfig.get_config_dict(name, revision=revision)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{source}: no usable config.json ({_why(error, source)})") from None
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
    rate_hz = int(values["sampling_rate"])
    if sample_rate_hz not in (None, rate_hz):
        raise CheckpointError(f"model.sample_rate_hz={sample_rate_hz}, but {encoder} was trained at {rate_hz} Hz")
    return rate_hz, bool(values.get("do_normalize", True))


def load_backbone(backbone: nn.Module, encoder: str) -> None:
    """Put the weights of ``encoder`` into ``backbone``; anything missing is an error, not a silent random layer.

    Raises:
        CheckpointError: the weights cannot be read, or are not those of this architecture.
    """
    weights, wrong = _read_weights(encoder, backbone.config)
    if wrong:
        raise CheckpointError(
            f"model.encoder={encoder}: {'; '.join(wrong)}; model.encoder_weights=random starts without weights"
        )
    backbone.load_state_dict(weights)


def _read_weights(encoder: str, config: Any) -> tuple[dict[str, Tensor], list[str]]:  # noqa: ANN401 - any HF config
    """The weights as transformers maps them to the architecture of ``config``, and what does not fit."""
    try:
        model, info = load_pretrained(AutoModel, encoder, config=config)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"model.encoder={encoder}: weights cannot be loaded ({_why(error, encoder)})") from None
    found = {
        "missing": sorted(key for key in info["missing_keys"] if not key.endswith(MISSING_IS_FINE)),
        "of another shape": sorted(str(key) for key in info["mismatched_keys"]),
    }
    return model.state_dict(), [f"{len(keys)} tensors {how}, first {keys[0]}" for how, keys in found.items() if keys]


def load_quantizer(encoder: str) -> Any:  # noqa: ANN401 - transformers' Wav2Vec2GumbelVectorQuantizer
    """The quantizer of a ``*ForPreTraining`` directory, with its weights; None of any other, which has none.

    Raises:
        CheckpointError: it cannot be loaded.
    """
    if not any(name.endswith("ForPreTraining") for name in encoder_config(encoder).architectures or ()):
        return None
    try:
        model, info = load_pretrained(AutoModelForPreTraining, encoder)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{encoder}: the quantizer cannot be loaded ({_why(error, encoder)})") from None
    missing = any(key.startswith("quantizer.") for key in info["missing_keys"])
    return None if missing else getattr(model, "quantizer", None)


def preprocessor_values(encoder: str) -> dict[str, Any] | None:
    """preprocessor_config.json of a directory or hub id; None where there is none."""
    name = "preprocessor_config.json"
    if Path(encoder).is_dir():
        path = Path(encoder) / name
        return json.loads(path.read_text()) if path.is_file() else None
    source, revision = split_revision(encoder)
    found = cached_file(source, name, revision=revision, _raise_exceptions_for_missing_entries=False)
    return None if found is None else json.loads(Path(found).read_text())


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
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        if shown:
            hf_logging.enable_progress_bar()
