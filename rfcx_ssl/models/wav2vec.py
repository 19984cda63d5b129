"""wav2vec 2.0, on waveforms or on log-mel, and its relatives (HuBERT, WavLM, data2vec-audio, conformer), on the exact grid."""

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.backbone_rules import check_backbone
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import Encoder, SedSettings, ValidLengths, inside
from rfcx_ssl.models.encoder_directory import backbone_values, load_backbone, preprocessing
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig
from rfcx_ssl.settings import settings

# Members as transformers names them. Another one needs a config and a model class like theirs, registered with
# AutoConfig and AutoModel, and its name here; where its frames do not come from a stack of convolutions, its config
# has ``hop_samples`` and ``receptive_samples`` (see ``frame_geometry``).
FAMILY = ("wav2vec2", Wav2Vec2MelConfig.model_type, "hubert", "wavlm", "data2vec-audio", "wav2vec2-conformer")
EAGER_ONLY = ("wavlm", "wav2vec2-conformer")  # transformers adds positions to their scores itself: no SDPA
EXTRACTOR_EPS = 1e-7  # of transformers' feature extractor


@settings
class SpanMaskSettings:
    """SpecAugment on the transformer's input: spans of frames, or of features, become the mask embedding, or 0."""

    prob: float  # share that is masked, before spans overlap
    length: int = 10

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if not 0 < self.prob <= 1 or self.length < 1:
            raise ValueError(
                f"need prob in (0, 1] and length >= 1, got {self.prob} and {self.length}; null masks nothing"
            )


@settings
class Wav2Vec2Settings(SedSettings):
    """An encoder directory (as written by ``pretrain/convert.py``) or a hub id, and how to fine-tune it."""

    kind: Literal["wav2vec2"] = "wav2vec2"
    encoder: str  # directory or hub id with config.json and preprocessor_config.json
    encoder_weights: Literal["pretrained", "random"] = "pretrained"  # random: the same architecture, new weights
    sample_rate_hz: int | None = None  # only where preprocessor_config.json is missing; must agree with it otherwise
    layer_mix: bool = False  # learned weighted sum over all layers instead of the last one
    attention: Literal["sdpa", "eager"] = "sdpa"
    gradient_checkpointing: bool = False
    dropout: float = 0.0  # inside the transformer: attention, feed-forward and projection
    layerdrop: float = 0.0  # probability that a step leaves a transformer layer out
    mask_time: SpanMaskSettings | None = None
    mask_feature: SpanMaskSettings | None = None

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if self.encoder in ("", "???"):
            raise ValueError("set model.encoder to an encoder directory or a hub id")
        if not 0 <= self.layerdrop < 1:
            raise ValueError(f"layerdrop={self.layerdrop} must be in [0, 1)")
        if self.layerdrop and self.layer_mix:
            raise ValueError(f"layer_mix needs what every layer says, layerdrop={self.layerdrop} leaves layers out")

    def config_values(self) -> dict[str, Any]:
        """Sample rate, normalization and backbone, as the encoder directory has them."""
        backbone = backbone_values(self.encoder, FAMILY, self.backbone_overrides())
        sample_rate_hz, normalize = preprocessing(self.encoder, self.sample_rate_hz)
        return {"backbone": backbone, "sample_rate_hz": sample_rate_hz, "normalize_waveform": normalize}

    def make_encoder(self, config: RainforestSedConfig) -> "Wav2Vec2Encoder":
        """The backbone that ``config`` describes; the encoder directory is not read again."""
        if config.backbone is None:
            raise ConfigError("a wav2vec2 model needs the transformers config of its backbone")
        return Wav2Vec2Encoder(self, config.backbone, config.sample_rate_hz, config.normalize_waveform)

    def backbone_overrides(self) -> dict[str, Any]:
        """Keys of the transformers config that these settings decide."""
        values = {
            "attention_dropout": self.dropout,
            "hidden_dropout": self.dropout,
            "activation_dropout": self.dropout,
            "feat_proj_dropout": self.dropout,
            "layerdrop": self.layerdrop,
            "apply_spec_augment": self.mask_time is not None or self.mask_feature is not None,
        }
        for name, mask in (("mask_time", self.mask_time), ("mask_feature", self.mask_feature)):
            values[f"{name}_prob"] = 0.0 if mask is None else mask.prob
            values[f"{name}_length"] = 10 if mask is None else mask.length
        return values


class Wav2Vec2Encoder(Encoder):
    """Waveform (normalized here, where the feature extractor asks for it) -> hidden states.

    The feature extractor has hop H and receptive field R. Padding ``(R - H) // 2`` zeros on the left and what is
    needed on the right gives ``T`` frames, frame k centered on samples ``[k * H, (k + 1) * H)``.
    """

    def __init__(
        self, settings: Wav2Vec2Settings, backbone: dict[str, Any], sample_rate_hz: int, normalize: bool
    ) -> None:
        super().__init__()
        check_backbone(backbone, FAMILY, "config.json: backbone")
        config = AutoConfig.for_model(**backbone)
        self.settings = settings
        self.sample_rate_hz = sample_rate_hz
        self.normalize = normalize
        pretraining = getattr(config, "rfcx_ssl", None) or {}  # written by pretrain/convert.py
        self.normalize_eps = float(pretraining.get("normalize_eps", EXTRACTOR_EPS))
        self.hop_samples, self.receptive_samples = frame_geometry(config)
        self.dim = config.hidden_size
        self.num_layers = config.num_hidden_layers
        self.num_depths = self.num_layers + 2
        attention = "eager" if config.model_type in EAGER_ONLY else settings.attention
        self.backbone = AutoModel.from_config(config, attn_implementation=attention)
        if settings.gradient_checkpointing:
            self.backbone.activation_checkpointing_enable({"use_reentrant": False})
        self._pre_norm = bool(getattr(config, "do_stable_layer_norm", False))
        self.mix = LayerMix(self.num_layers + 1) if settings.layer_mix else None

    def load_pretrained(self) -> None:
        """The encoder directory's weights, unless random ones are asked for."""
        if self.settings.encoder_weights == "pretrained":
            load_backbone(self.backbone, self.settings.encoder)

    def forward(self, waveform: Tensor, num_frames: int, valid: ValidLengths | None = None) -> Tensor:
        """(B, N) -> (B, num_frames, D)."""
        lengths = None if valid is None else valid.samples
        waveform = (
            normalize(waveform, lengths, self.normalize_eps) if self.normalize else zero_outside(waveform, lengths)
        )
        left = (self.receptive_samples - self.hop_samples) // 2
        total = (num_frames - 1) * self.hop_samples + self.receptive_samples
        padded = F.pad(waveform, (left, total - left - waveform.shape[1]))
        mask = None
        if valid is not None:  # transformers counts the ones and applies the convolutions' arithmetic
            mask = inside((valid.frames - 1) * self.hop_samples + self.receptive_samples, total).long()
        out = self.backbone(padded, attention_mask=mask, output_hidden_states=self.mix is not None)
        hidden: Tensor = out.last_hidden_state if self.mix is None else self.mix(out.hidden_states)
        return hidden

    def is_used(self, name: str) -> bool:
        """Mask embedding, positions and last norm are there in every backbone, in use or not."""
        config = self.backbone.config
        if name.endswith("masked_spec_embed"):
            return self.settings.mask_time is not None
        if ".pos_conv_embed." in name and config.model_type == "wav2vec2-conformer":
            return getattr(config, "position_embeddings_type", None) is None
        return not (self.mix is not None and self._is_last_norm(name))

    def _is_last_norm(self, name: str) -> bool:
        """The norm after the last layer of pre-norm transformers; elsewhere that norm comes before the first."""
        last = self.backbone.config.model_type == "wav2vec2-conformer" or self._pre_norm
        return last and name.startswith("backbone.encoder.layer_norm.")

    def on_freeze(self, depth: int) -> None:
        """Without this transformers records the convolutions for a gradient that nobody needs."""
        self.backbone.feature_extractor._requires_grad = depth == 0

    def depth(self, name: str) -> int:
        """Convolutions 0, projection and positions 1, transformer layer i at i + 2, the rest at the last layer."""
        if "feature_extractor." in name:
            return 0
        if ".layers." in name:
            return min(2 + int(name.split(".layers.")[1].split(".")[0]), self.num_depths - 1)
        return self.num_depths - 1 if name.startswith("mix") or self._is_last_norm(name) else 1


class LayerMix(nn.Module):
    """Softmax-weighted sum of L + 1 hidden states (ELMo's scalar mix, as SUPERB uses it), each layer-normalized."""

    def __init__(self, num_states: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(num_states))

    def forward(self, states: tuple[Tensor, ...]) -> Tensor:
        """L + 1 tensors (B, T, D) -> (B, T, D)."""
        stacked = torch.stack([F.layer_norm(state, state.shape[-1:]) for state in states])
        return torch.einsum("l,lbtd->btd", self.weight.softmax(dim=0).to(stacked.dtype), stacked)


def frame_geometry(config: Any) -> tuple[int, int]:  # noqa: ANN401 - any config of the family
    """Hop and receptive field of a backbone's frames in samples: what its config says, else its convolutions'."""
    if hasattr(config, "hop_samples"):
        return int(config.hop_samples), int(config.receptive_samples)
    return conv_geometry(config.conv_kernel, config.conv_stride)


def conv_geometry(kernels: Sequence[int], strides: Sequence[int]) -> tuple[int, int]:
    """Hop and receptive field in samples of a stack of valid convolutions."""
    hop, receptive = 1, 1
    for kernel, stride in zip(kernels, strides, strict=True):
        receptive += (kernel - 1) * hop
        hop *= stride
    return hop, receptive


def zero_outside(waveform: Tensor, lengths: Tensor | None) -> Tensor:
    """Padding must be silent, whatever it held."""
    return waveform if lengths is None else waveform * inside(lengths, waveform.shape[1])


def normalize(waveform: Tensor, lengths: Tensor | None, eps: float = EXTRACTOR_EPS) -> Tensor:
    """Zero mean and unit variance per clip over its real samples, in float32; padding stays zero.

    ``eps`` is added to the variance: 1e-7 in ``Wav2Vec2FeatureExtractor.zero_mean_unit_var_norm``, 1e-5 in fairseq. It
    matters for quiet forests: at an RMS of 0.003 fairseq's halves the power the encoder sees.
    """
    waveform = waveform.float()
    if lengths is None:
        variance, mean = torch.var_mean(waveform, dim=1, correction=0, keepdim=True)
        return (waveform - mean) / torch.sqrt(variance + eps)
    mask = inside(lengths, waveform.shape[1])
    count = lengths[:, None].clamp(min=1)
    centered = (waveform - (waveform * mask).sum(1, keepdim=True) / count) * mask
    variance = centered.square().sum(1, keepdim=True) / count
    return centered / torch.sqrt(variance + eps)
