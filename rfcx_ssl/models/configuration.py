"""The Hugging Face config of every model of this project; unknown keys are errors, unlike in the base class."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from transformers import PreTrainedConfig

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.models.rules import FLAG, Many, Maybe, Object, Real, Rule, Text, Whole, check_values
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.species.table import SpeciesTable

# what transformers itself writes into, or passes through, a config
_HF_KEYS = {field.name for field in dataclasses.fields(PreTrainedConfig)} | {
    "_attn_implementation_internal",
    "_commit_hash",
    "_experts_implementation_internal",
    "_name_or_path",
    "_output_attentions",
    "attn_implementation",
    "auto_map",
    "experts_implementation",
    "model_type",
    "name_or_path",
    "num_labels",
    "torch_dtype",
}

_OBJECT, _MOST_OUTPUTS = Object(), 10**5
RULES: Mapping[str, Rule] = {
    "sed": Maybe(_OBJECT),
    "backbone": Maybe(_OBJECT),
    "sample_rate_hz": Whole(1, 10**7),
    "window_samples": Whole(1, 10**9),
    "windows": Maybe(_OBJECT),
    "train_prevalence": Maybe(Many(Maybe(Real(0, 1)), _MOST_OUTPUTS)),
    "normalize_waveform": FLAG,
    "species": Many(_OBJECT, _MOST_OUTPUTS, least=0),
    "output_names": Many(Text(), _MOST_OUTPUTS, least=0),
    "output_species": Many(Whole(-1, _MOST_OUTPUTS), _MOST_OUTPUTS, least=0),
    "output_songtype": Many(Maybe(Whole(0, 2**53)), _MOST_OUTPUTS, least=0),
}


class RainforestSedConfig(PreTrainedConfig):
    """Settings of the model, sample rate, windows and label space.

    ``sed`` is the plain mapping of the model settings; ``backbone`` the transformers config of a wav2vec-family
    encoder; ``normalize_waveform`` says that the model itself scales each clip to zero mean and unit variance;
    ``species`` are the rows of the project's species table; ``windows`` is how it was validated (``window_s``, ``overlap``,
    ``aggregate``), ``train_prevalence`` the prevalence of each species in its training crops (None where that is not
    known); both are None before training. ``scaled_prevalence`` is what the pseudo-labels that it learned from were scaled to,
    if they were: the prior is then in its probabilities.
    """

    model_type = "rainforest_sed"

    def __init__(
        self,
        *,
        sed: dict[str, Any] | None = None,
        backbone: dict[str, Any] | None = None,
        sample_rate_hz: int = 32_000,
        window_samples: int = 160_000,
        windows: dict[str, Any] | None = None,
        train_prevalence: Sequence[float | None] | None = None,
        scaled_prevalence: str | None = None,
        normalize_waveform: bool = False,
        species: Sequence[Mapping[str, Any]] = (),
        output_names: Sequence[str] = (),
        output_species: Sequence[int] = (),
        output_songtype: Sequence[int | None] = (),
        **kwargs: Any,  # noqa: ANN401 - transformers' own keys
    ) -> None:
        unknown = sorted(set(kwargs) - _HF_KEYS)
        if unknown:
            raise ConfigError(f"config.json: {unknown[0]}: unknown key of a {self.model_type} model")
        check_values(
            {
                "sed": sed, "backbone": backbone, "sample_rate_hz": sample_rate_hz, "window_samples": window_samples,
                "windows": windows, "train_prevalence": train_prevalence, "normalize_waveform": normalize_waveform,
                "species": species, "output_names": output_names, "output_species": output_species,
                "output_songtype": output_songtype,
            },
            RULES,
            "config.json",
        )  # fmt: skip
        self.sed = sed
        self.backbone = backbone
        self.sample_rate_hz = sample_rate_hz
        self.window_samples = window_samples
        self.windows = windows
        self.train_prevalence = None if train_prevalence is None else list(train_prevalence)
        self.scaled_prevalence = scaled_prevalence
        self.normalize_waveform = normalize_waveform
        self.species = [dict(row) for row in species]
        self.output_names = list(output_names)
        self.output_species = list(output_species)
        self.output_songtype = list(output_songtype)
        kwargs.setdefault("id2label", dict(enumerate(output_names)) or None)
        kwargs.setdefault("label2id", {name: k for k, name in enumerate(output_names)} or None)
        super().__init__(**kwargs)

    @property
    def space(self) -> LabelSpace:
        """The label space the model answers in; :class:`CheckpointError` where species and outputs are none."""
        try:
            return LabelSpace(
                species=SpeciesTable.from_rows(self.species),
                output_names=tuple(self.output_names),
                output_species=tuple(self.output_species),
                output_songtype=tuple(self.output_songtype),
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(f"config.json: {error}") from None
