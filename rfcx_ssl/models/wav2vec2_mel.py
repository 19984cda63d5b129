"""wav2vec 2.0 with a log-mel feature extractor, as a transformers model: ``AutoConfig`` and ``AutoModel`` know it."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from torch import Tensor
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModel,
    AutoModelForPreTraining,
    Wav2Vec2Config,
    Wav2Vec2ForPreTraining,
    Wav2Vec2Model,
)

from rfcx_ssl.models.mel_extractor import MelExtractor, MelExtractorSettings
from rfcx_ssl.settings import from_plain


class Wav2Vec2MelConfig(Wav2Vec2Config):
    """A wav2vec 2.0 config whose frames come from ``mel_extractor`` at ``sample_rate_hz``.

    Its one convolution ``conv_*`` stands for the extractor: as many channels, and frames as long, so that transformers'
    own arithmetic of lengths holds.
    """

    model_type = "wav2vec2_mel"

    def __init__(
        self,
        mel_extractor: Mapping[str, Any] | None = None,
        sample_rate_hz: int = 32_000,
        **kwargs: Any,  # noqa: ANN401 - transformers' own keys
    ) -> None:
        settings = from_plain(MelExtractorSettings, mel_extractor or {}, "mel_extractor")
        self.mel_extractor = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(settings).items()}
        self.sample_rate_hz = sample_rate_hz
        hop = settings.hop_samples
        kwargs |= {"conv_dim": [settings.dim], "conv_kernel": [hop], "conv_stride": [hop]}
        super().__init__(**{**kwargs, "num_feat_extract_layers": 1})

    @property
    def hop_samples(self) -> int:
        """Samples per frame."""
        return int(self.conv_stride[0])

    @property
    def receptive_samples(self) -> int:
        """Samples that a frame wants: its own; what lies around them is heard where it is there."""
        return self.hop_samples


class _MelFeatureEncoder(MelExtractor):
    """The extractor with the flag that transformers keeps on a feature encoder; its layers initialize themselves."""

    _requires_grad = True

    def __init__(self, settings: MelExtractorSettings, sample_rate_hz: int) -> None:
        super().__init__(settings, sample_rate_hz)
        for module in self.modules():
            module._is_hf_initialized = True  # type: ignore[assignment] # as in fairseq, not transformers' own rule

    def _freeze_parameters(self) -> None:
        self._requires_grad = False
        self.requires_grad_(False)


class Wav2Vec2MelModel(Wav2Vec2Model):
    """``Wav2Vec2Model`` on :class:`MelExtractor` features: waveform (B, N), not normalized, -> hidden states."""

    config_class = Wav2Vec2MelConfig

    def __init__(self, config: Wav2Vec2MelConfig) -> None:
        super().__init__(config)
        self.feature_extractor = make_extractor(config)  # type: ignore[assignment]

    def forward(
        self,
        input_values: Tensor | None,
        attention_mask: Tensor | None = None,
        *args: Any,  # noqa: ANN401
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401 - what Wav2Vec2Model returns
        """As ``Wav2Vec2Model``; where ``attention_mask`` (B, N) says what is padding, it changes no frame."""
        extractor: Any = self.feature_extractor
        extractor.lengths = None if attention_mask is None else attention_mask.sum(dim=1)
        try:
            return super().forward(input_values, attention_mask, *args, **kwargs)
        finally:
            extractor.lengths = None


class Wav2Vec2MelForPreTraining(Wav2Vec2ForPreTraining):
    """The same with quantizer and projections."""

    config_class = Wav2Vec2MelConfig

    def __init__(self, config: Wav2Vec2MelConfig) -> None:
        super().__init__(config)
        self.wav2vec2 = Wav2Vec2MelModel(config)
        self.post_init()  # type: ignore[no-untyped-call]


def make_extractor(config: Wav2Vec2MelConfig) -> MelExtractor:
    """The feature extractor that a config describes."""
    settings = from_plain(MelExtractorSettings, config.mel_extractor, "mel_extractor")
    return _MelFeatureEncoder(settings, config.sample_rate_hz)


AUTO_CLASSES = {
    "AutoConfig": Wav2Vec2MelConfig,
    "AutoModel": Wav2Vec2MelModel,
    "AutoModelForPreTraining": Wav2Vec2MelForPreTraining,
}
if (
    Wav2Vec2MelConfig.model_type not in CONFIG_MAPPING
):  # a saved model's copy of this file leaves the package's classes
    AutoConfig.register(Wav2Vec2MelConfig.model_type, Wav2Vec2MelConfig)
    AutoModel.register(Wav2Vec2MelConfig, Wav2Vec2MelModel)
    AutoModelForPreTraining.register(Wav2Vec2MelConfig, Wav2Vec2MelForPreTraining)
