"""Every kind of encoder: its settings and how it is made from an HF config's plain values."""

from collections.abc import Mapping
from typing import Any

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.encoder import Encoder, SedSettings
from rfcx_ssl.models.panns import PannsEncoder, PannsSettings
from rfcx_ssl.models.spectrogram import SpectrogramEncoder, SpectrogramSettings
from rfcx_ssl.models.wav2vec import Wav2Vec2Encoder, Wav2Vec2Settings
from rfcx_ssl.settings import from_plain

SETTINGS: dict[str, type[SedSettings]] = {
    "panns": PannsSettings,
    "spectrogram": SpectrogramSettings,
    "wav2vec2": Wav2Vec2Settings,
}


def read_settings(values: Mapping[str, Any]) -> SedSettings:
    """Model settings from the plain mapping stored in a saved model's config."""
    kind = values.get("kind")
    if kind not in SETTINGS:
        raise ConfigError(f"model.kind={kind!r}: must be one of {', '.join(map(repr, sorted(SETTINGS)))}")
    return from_plain(SETTINGS[kind], values, "model")


def make_encoder(
    settings: SedSettings, backbone: dict[str, Any] | None, sample_rate_hz: int, normalize: bool
) -> Encoder:
    """A randomly initialised encoder; ``backbone`` is the transformers config of the wav2vec family."""
    if isinstance(settings, Wav2Vec2Settings):
        if backbone is None:
            raise ConfigError("a wav2vec2 model needs the transformers config of its backbone")
        return Wav2Vec2Encoder(settings, dict(backbone), sample_rate_hz, normalize)
    if isinstance(settings, PannsSettings):
        return PannsEncoder(settings)
    if isinstance(settings, SpectrogramSettings):
        return SpectrogramEncoder(settings)
    raise ConfigError(f"no encoder for {type(settings).__name__}")
