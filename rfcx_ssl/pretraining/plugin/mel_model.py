"""The fairseq model ``wav2vec2_mel``: stock wav2vec 2.0 whose frames come from log-mel instead of convolutions.

All else is fairseq's: transformer, quantizer, masks, criterion, checkpoints, precision, DDP, activation checkpointing.
"""

from dataclasses import dataclass, field
from typing import Any, TypeVar

from fairseq.models import register_model
from fairseq.models.wav2vec.wav2vec2 import Wav2Vec2Config, Wav2Vec2Model
from omegaconf import II, OmegaConf
from torch import Tensor, nn

from rfcx_ssl.models.mel_extractor import MelExtractor, MelExtractorSettings
from rfcx_ssl.pretraining.plugin.input_mix import InputMix, InputMixSettings
from rfcx_ssl.settings import from_plain

Kind = TypeVar("Kind")


@dataclass
class MelWav2Vec2Config(Wav2Vec2Config):
    """Stock settings; ``conv_feature_layers`` and the other keys of the convolutions have no effect."""

    mel_extractor: Any = field(default=None, metadata={"help": "keys of rfcx_ssl.models.mel_extractor"})
    sample_rate: int = field(default=II("task.sample_rate"), metadata={"help": "of the waveforms, Hz"})
    detach_targets: bool = field(
        default=False,
        metadata={"help": "the quantizer's loss does not move the features: they cannot drift towards easy targets"},
    )
    input_mix: Any = field(
        default=None,
        metadata={"help": "keys of rfcx_ssl.pretraining.plugin.input_mix: what is predicted stays the clean crop"},
    )


@register_model("wav2vec2_mel", dataclass=MelWav2Vec2Config)
class MelWav2Vec2Model(Wav2Vec2Model):
    """``Wav2Vec2Model`` on :class:`rfcx_ssl.models.mel_extractor.MelExtractor` features."""

    def __init__(self, cfg: MelWav2Vec2Config) -> None:
        settings = mel_settings(cfg.mel_extractor)
        # fairseq's own arithmetic of lengths then holds: one convolution as long as a frame
        cfg.conv_feature_layers = repr([(settings.dim, settings.hop_samples, settings.hop_samples)])
        super().__init__(cfg)
        self.feature_extractor = MelExtractor(settings, cfg.sample_rate)
        if cfg.detach_targets:
            self.quantizer.register_forward_pre_hook(_detach_input)
        mix = plain_settings(InputMixSettings, cfg.input_mix, "model.input_mix") if cfg.input_mix else None
        self.input_mix = None if mix is None else InputMix(mix)
        self._mixed: Tensor | None = None  # features (B, T, D) that the transformer gets in place of the clean ones
        # the first module that sees the transformer's input and not the targets
        (self.post_extract_proj or self.dropout_input).register_forward_pre_hook(self._replace_input)

    def forward(
        self,
        source: Tensor,
        padding_mask: Tensor | None = None,
        *args: Any,  # noqa: ANN401 - as the stock model
        **kwargs: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        """As the stock model; where ``padding_mask`` (B, N) says what is padding, it changes no frame."""
        self.feature_extractor.lengths = None if padding_mask is None else (~padding_mask.bool()).sum(dim=1)
        try:
            if self.input_mix is not None and self.training:
                mixed = self.feature_extractor(self.input_mix(source)).transpose(1, 2)
                self._mixed = self.layer_norm(mixed)
            return super().forward(source, padding_mask, *args, **kwargs)
        finally:
            self.feature_extractor.lengths, self._mixed = None, None

    def _replace_input(self, _module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        if self._mixed is None:
            return args
        return (self._mixed[:, : args[0].shape[1]], *args[1:])


def mel_settings(values: Any) -> MelExtractorSettings:  # noqa: ANN401 - a mapping, plain or of OmegaConf, or None
    """The extractor that ``model.mel_extractor`` describes; ``ConfigError`` names a key that is wrong."""
    return plain_settings(MelExtractorSettings, values, "model.mel_extractor")


def plain_settings(kind: type[Kind], values: Any, key: str) -> Kind:  # noqa: ANN401 - as above
    """Settings of ``kind`` from a part of fairseq's config; ``ConfigError`` names a key that is wrong."""
    plain: Any = OmegaConf.to_container(values) if OmegaConf.is_config(values) else values
    return from_plain(kind, plain or {}, key)


def _detach_input(_module: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (args[0].detach(), *args[1:])
