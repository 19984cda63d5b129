"""Build a model from settings: read the encoder directory, check its sample rate, load its weights."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel
from transformers.utils import logging as hf_logging
from transformers.utils.hub import cached_file

from rfcx_ssl.config import settings_dict
from rfcx_ssl.errors import CheckpointError, ConfigError, first_line
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.panns import PannsEncoder, PannsSettings
from rfcx_ssl.models.panns_checkpoint import load_panns_encoder, read_panns_checkpoint
from rfcx_ssl.models.spectrogram import SpectrogramEncoder, SpectrogramSettings, timm_features
from rfcx_ssl.models.wav2vec import FAMILY, Wav2Vec2Encoder, Wav2Vec2Settings, attention_of
from rfcx_ssl.species import LabelSpace

MISSING_IS_FINE = ("masked_spec_embed",)  # only used by masking, absent from encoders trained without it


def build_model(settings: SedSettings, space: LabelSpace) -> RainforestSedModel:
    """A model for ``space``, with pretrained encoder weights where the settings ask for them.

    Raises:
        CheckpointError: the encoder directory, its sample rate or its weights do not fit.
        ConfigError: a setting breaks a rule of the model.
    """
    try:
        model = RainforestSedModel(model_config(settings, space))
    except ValueError as error:
        raise ConfigError(f"model: {error}") from None
    if isinstance(settings, PannsSettings) and settings.checkpoint:
        assert isinstance(model.encoder, PannsEncoder)
        source = f"model.checkpoint={settings.checkpoint}"
        load_panns_encoder(model.encoder, read_panns_checkpoint(Path(settings.checkpoint)), source)
    if isinstance(settings, SpectrogramSettings) and settings.pretrained:
        _load_timm(model, settings)
    if isinstance(settings, Wav2Vec2Settings) and settings.encoder_weights == "pretrained":
        _load_backbone(model, settings)
    if isinstance(settings, Wav2Vec2Settings) and settings.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[no-untyped-call]
    return model


def model_config(settings: SedSettings, space: LabelSpace) -> RainforestSedConfig:
    """The complete HF config of a model, before any weight exists."""
    if settings.window_s is None:
        raise ConfigError("model.window_s is null: only training can take it from data.crop_s; give it in seconds")
    backbone, normalize = None, False
    if isinstance(settings, Wav2Vec2Settings):
        backbone = _backbone_config(settings)
        sample_rate_hz, normalize = _read_preprocessor(settings)
    elif isinstance(settings, PannsSettings | SpectrogramSettings):
        sample_rate_hz = settings.sample_rate_hz
    else:
        raise ConfigError(f"no model for {type(settings).__name__}")
    return RainforestSedConfig(
        sed=settings_dict(settings),
        backbone=backbone,
        sample_rate_hz=sample_rate_hz,
        window_samples=round(settings.window_s * sample_rate_hz),
        normalize_waveform=normalize,
        species_names=space.species_names,
        output_names=space.output_names,
        output_species=space.output_species,
        output_songtype=space.output_songtype,
    )


def _backbone_config(settings: Wav2Vec2Settings) -> dict[str, Any]:
    """The encoder directory's config.json with our training settings in it."""
    try:
        config = AutoConfig.from_pretrained(settings.encoder)
    except (OSError, ValueError) as error:
        raise CheckpointError(
            f"model.encoder={settings.encoder}: no usable config.json ({first_line(error)})"
        ) from None
    if config.model_type not in FAMILY:
        raise CheckpointError(
            f"model.encoder={settings.encoder}: model_type {config.model_type!r}, need one of {', '.join(FAMILY)}"
        )
    values = config.to_dict() | settings.backbone_overrides()
    dropped = ("transformers_version", "_name_or_path", "architectures", "dtype", "id2label", "label2id")
    return {key: value for key, value in values.items() if key not in dropped}


def _read_preprocessor(settings: Wav2Vec2Settings) -> tuple[int, bool]:
    """Sample rate in Hz and ``do_normalize`` of the encoder's feature extractor."""
    values = _preprocessor_values(settings.encoder)
    if values is None:
        if settings.sample_rate_hz is None:
            raise CheckpointError(
                f"model.encoder={settings.encoder}: no preprocessor_config.json; set model.sample_rate_hz"
            )
        return settings.sample_rate_hz, False
    rate_hz = int(values["sampling_rate"])
    if settings.sample_rate_hz not in (None, rate_hz):
        raise CheckpointError(
            f"model.sample_rate_hz={settings.sample_rate_hz}, but {settings.encoder} was trained at {rate_hz} Hz"
        )
    return rate_hz, bool(values.get("do_normalize", True))


def _preprocessor_values(encoder: str) -> dict[str, Any] | None:
    """preprocessor_config.json of a directory or hub id; None where there is none."""
    name = "preprocessor_config.json"
    if Path(encoder).is_dir():
        path = Path(encoder) / name
        return json.loads(path.read_text()) if path.is_file() else None
    found = cached_file(encoder, name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else json.loads(Path(found).read_text())


def _load_backbone(model: RainforestSedModel, settings: Wav2Vec2Settings) -> None:
    """Put the pretrained weights into the model; anything missing is an error, not a silent random layer."""
    encoder = model.encoder
    assert isinstance(encoder, Wav2Vec2Encoder)
    try:
        with _quiet():
            backbone, info = AutoModel.from_pretrained(
                settings.encoder,
                config=encoder.backbone.config,
                dtype=torch.float32,
                attn_implementation=attention_of(settings, encoder.backbone.config.model_type),
                output_loading_info=True,
            )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"model.encoder={settings.encoder}: weights cannot be loaded ({first_line(error)})"
        ) from None
    missing = sorted(key for key in info["missing_keys"] if not key.endswith(MISSING_IS_FINE))
    mismatched = sorted(str(key) for key in info["mismatched_keys"])
    if missing or mismatched:
        raise CheckpointError(
            f"model.encoder={settings.encoder}: {len(missing)} tensors missing, {len(mismatched)} of another shape, "
            f"first {(missing + mismatched)[0]}; model.encoder_weights=random starts without weights"
        )
    encoder.backbone = backbone
    model.freeze_below(0)


def _load_timm(model: RainforestSedModel, settings: SpectrogramSettings) -> None:
    """timm adapts its weights to our number of input channels."""
    assert isinstance(model.encoder, SpectrogramEncoder)
    try:
        model.encoder.network.load_state_dict(timm_features(settings, pretrained=True).state_dict())
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(
            f"model.architecture={settings.architecture}: no pretrained weights ({first_line(error)})"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """No load report: what is left over are pretraining heads, and what is missing is checked here."""
    verbosity = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()
    hf_logging.disable_progress_bar()
    try:
        yield
    finally:
        hf_logging.set_verbosity(verbosity)
        hf_logging.enable_progress_bar()
