"""Every kind of encoder, by its settings class; what knows all kinds (settings, saved models, tests) asks here."""

from collections.abc import Mapping
from typing import Any

from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.models.spectrogram import SpectrogramSettings
from rfcx_ssl.models.wav2vec import Wav2Vec2Settings
from rfcx_ssl.settings import from_plain, of_kind


def by_kind(*classes: type[SedSettings]) -> dict[str, type[SedSettings]]:
    """Settings classes by the ``kind`` that each of them declares; two of one kind are a ValueError."""
    found: dict[str, type[SedSettings]] = {}
    for cls in classes:
        if cls.kind in found:
            raise ValueError(f"kind={cls.kind!r} belongs to {found[cls.kind].__name__} and to {cls.__name__}")
        found[cls.kind] = cls
    return found


ENCODERS = by_kind(
    PannsSettings,
    SpectrogramSettings,
    Wav2Vec2Settings,
)


def read_settings(values: Mapping[str, Any]) -> SedSettings:
    """Model settings from the plain mapping stored in a saved model's config."""
    return from_plain(of_kind(ENCODERS.values(), values, "model"), values, "model")
