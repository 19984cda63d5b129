"""An optional layer over time between encoder and head."""

from collections.abc import Iterable
from typing import Annotated, Literal, assert_never

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import require_extra
from rfcx_ssl.settings import BY_KIND, settings


@settings
class LayersSettings:
    """What every layer over time has."""

    kind: str
    layers: int = 1
    dim: int = 0  # model width; 0 keeps the encoder's
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        if not 1 <= self.layers <= 64 or not 0 <= self.dim <= 2**13:
            raise ValueError(f"need layers in 1 to 64 and dim in 0 to 2^13, got {self.layers} and {self.dim}")


@settings
class GruSettings(LayersSettings):
    """A bidirectional GRU."""

    kind: Literal["gru"] = "gru"

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if self.dim % 2:
            raise ValueError(f"dim={self.dim} must be even: half of it for each direction")


@settings
class HeadsSettings(LayersSettings):
    """What layers with attention have."""

    heads: int = 4
    drop_path: float = 0.0  # probability that a clip passes a layer by while training (stochastic depth)

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if self.heads < 1 or self.dim % self.heads:
            raise ValueError(f"need heads >= 1 that divide dim, got heads={self.heads} and dim={self.dim}")
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path={self.drop_path} must be in [0, 1)")


@settings
class TransformerSettings(HeadsSettings):
    """A pre-norm transformer."""

    kind: Literal["transformer"] = "transformer"


@settings
class ConformerSettings(HeadsSettings):
    """torchaudio's Conformer."""

    kind: Literal["conformer"] = "conformer"
    kernel_size: int = 15  # frames seen by its depthwise convolution

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if self.kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {self.kernel_size}")


TemporalSettings = Annotated[GruSettings | TransformerSettings | ConformerSettings, BY_KIND]


class NoTemporal(nn.Module):
    """Features pass unchanged."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, D)."""
        return features


class BiGru(nn.Module):
    """Bidirectional GRU, (B, T, D) -> (B, T, dim)."""

    def __init__(self, settings: GruSettings, dim: int) -> None:
        super().__init__()
        self.dim = settings.dim or dim + dim % 2
        dropout = settings.dropout if settings.layers > 1 else 0.0
        self.gru = nn.GRU(dim, self.dim // 2, settings.layers, batch_first=True, dropout=dropout, bidirectional=True)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Padding is zeroed on the way in; the backward direction still passes over it."""
        if mask is not None:
            features = features * mask[:, :, None]
        out: Tensor = self.gru(features)[0]
        return out


class TransformerLayers(nn.Module):
    """Pre-norm transformer without positions of its own (the encoder's features carry time)."""

    def __init__(self, settings: TransformerSettings, dim: int) -> None:
        super().__init__()
        self.dim = settings.dim or dim
        _check_heads(self.dim, settings.heads)
        self.project = nn.Linear(dim, self.dim) if self.dim != dim else nn.Identity()
        layer = nn.TransformerEncoderLayer(
            self.dim, settings.heads, 4 * self.dim, settings.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, settings.layers, nn.LayerNorm(self.dim), enable_nested_tensor=False)
        add_drop_path(self.layers.layers, settings.drop_path, batch_axis=0)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """(B, T, D) -> (B, T, dim)."""
        out: Tensor = self.layers(self.project(features), src_key_padding_mask=None if mask is None else ~mask)
        return out


class ConformerLayers(nn.Module):
    """torchaudio's Conformer (Gulati et al. 2020), (B, T, D) -> (B, T, dim)."""

    def __init__(self, settings: ConformerSettings, dim: int) -> None:
        super().__init__()
        self.dim = settings.dim or dim
        _check_heads(self.dim, settings.heads)
        self.project = nn.Linear(dim, self.dim) if self.dim != dim else nn.Identity()
        self.layers = require_extra("torchaudio.models").Conformer(
            input_dim=self.dim,
            num_heads=settings.heads,
            ffn_dim=4 * self.dim,
            num_layers=settings.layers,
            depthwise_conv_kernel_size=settings.kernel_size,
            dropout=settings.dropout,
            use_group_norm=True,  # batch statistics would mix clips
        )
        add_drop_path(self.layers.conformer_layers, settings.drop_path, batch_axis=1)

    def forward(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """The mask is applied as lengths: padding is at the end."""
        projected = self.project(features)
        if mask is None:
            lengths = torch.full(projected.shape[:1], projected.shape[1], device=projected.device)
        else:
            lengths = mask.sum(dim=1)
        out: Tensor = self.layers(projected, lengths)[0]
        return out


def add_drop_path(layers: Iterable[nn.Module], rate: float, *, batch_axis: int) -> None:
    """Let each clip pass each of the layers by with probability ``rate`` while training; nothing is added for 0.

    Stochastic depth (Huang et al. 2016, arXiv:1603.09382): what a layer adds to its input counts 1 / (1 - rate) where it is
    kept, so that evaluation, which keeps all, needs no other scale.
    """

    def drop(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if not layer.training:
            return output
        shape = [1] * output.dim()
        shape[batch_axis] = output.shape[batch_axis]
        kept = torch.rand(shape, device=output.device) >= rate
        return inputs[0] + (output - inputs[0]) * (kept.to(output.dtype) / (1 - rate))

    for layer in layers if rate else ():
        layer.register_forward_hook(drop)


def _check_heads(dim: int, heads: int) -> None:
    if dim % heads:
        raise ValueError(f"model.temporal.heads={heads} must divide the width {dim}; set model.temporal.dim")


TemporalLayer = NoTemporal | BiGru | TransformerLayers | ConformerLayers


def build_temporal(settings: TemporalSettings | None, dim: int) -> TemporalLayer:
    """The layer of these settings for features of width ``dim``; its output width is ``.dim``."""
    match settings:
        case None:
            return NoTemporal(dim)
        case GruSettings():
            return BiGru(settings, dim)
        case TransformerSettings():
            return TransformerLayers(settings, dim)
        case ConformerSettings():
            return ConformerLayers(settings, dim)
        case _:
            assert_never(settings)
