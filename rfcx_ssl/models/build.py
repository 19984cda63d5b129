"""Build a model from settings: its config, its layers, and the encoder's pretrained weights where they are asked for."""

from rfcx_ssl.config import settings_dict
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import SedSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.species.space import LabelSpace


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
    model.encoder.load_pretrained()
    return model


def model_config(settings: SedSettings, space: LabelSpace) -> RainforestSedConfig:
    """The complete HF config of a model, before any weight exists."""
    if settings.window_s is None:
        raise ConfigError("model.window_s is null: only training can take it from data.crop_s; give it in seconds")
    values = settings.config_values()
    return RainforestSedConfig(
        sed=settings_dict(settings),
        window_samples=round(settings.window_s * values["sample_rate_hz"]),
        species=space.species.rows(),
        output_names=space.output_names,
        output_species=space.output_species,
        output_songtype=space.output_songtype,
        **values,
    )
