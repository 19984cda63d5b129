"""Image networks from timm over a log-mel or PCEN spectrogram: the strongest family of the RFCX competition."""

import copy
import re
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.errors import CheckpointError, first_line, require_extra
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import Encoder, SedSettings, ValidLengths
from rfcx_ssl.models.mel import MelSettings, PowerMel, add_frequency_channel, power_to_db
from rfcx_ssl.models.pcen import Pcen
from rfcx_ssl.models.spec_mask import SpecMask, StripeSettings
from rfcx_ssl.settings import settings


@settings
class SpectrogramSettings(SedSettings):
    """A timm network by name; its last feature map is averaged over frequency and read as frames."""

    kind: Literal["spectrogram"] = "spectrogram"
    architecture: str = "efficientnet_b0"
    pretrained: bool = False  # ImageNet weights: downloads them unless ``checkpoint`` names a local file
    checkpoint: str = ""
    sample_rate_hz: int = 32_000
    mel: MelSettings = MelSettings(n_fft=2048, hop_samples=320, n_mels=128)
    compression: Literal["db", "pcen"] = "db"
    frequency_channel: bool = True  # a second input channel that says which band it is, -1 to 1
    stages: int = 0  # use the first so many resolution stages, 0 for all; fewer give shorter frames
    drop_path: float = 0.0
    mask_time: StripeSettings | None = None
    mask_freq: StripeSettings | None = None

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if self.stages < 0 or not 0 <= self.drop_path < 1:
            raise ValueError(f"need stages >= 0 and drop_path in [0, 1), got {self.stages} and {self.drop_path}")
        if not re.fullmatch(r"\w[\w.]*", self.architecture):  # timm takes addresses on the hub here, too
            raise ValueError(f"architecture={self.architecture!r} is no name of a timm network")
        if self.checkpoint and not self.pretrained:
            raise ValueError("checkpoint is read only with pretrained=true")

    def config_values(self) -> dict[str, Any]:
        """The sample rate."""
        return {"sample_rate_hz": self.sample_rate_hz}

    def make_encoder(self, config: RainforestSedConfig) -> "SpectrogramEncoder":
        """The network."""
        return SpectrogramEncoder(self)


class SpectrogramEncoder(Encoder):
    """Waveform -> mel -> dB or PCEN -> batch norm per band -> timm features -> mean over frequency.

    A strided convolution centers its first output on its first inputs, so the frames of most networks come up to
    half a frame early. The offset is worked out from kernels and paddings and the spectrogram is shifted by it.
    """

    def __init__(self, settings: SpectrogramSettings) -> None:
        super().__init__()
        self.settings = settings
        self.sample_rate_hz = settings.sample_rate_hz
        self.network = timm_features(settings, pretrained=False)
        info = self.network.feature_info
        self.mel_frames = int(info.reduction()[-1])
        self.hop_samples = settings.mel.hop_samples * self.mel_frames
        self.dim = int(info.channels()[-1])
        self.shift = round((self.mel_frames - 1) / 2 - time_offset(self.network, 1 + settings.frequency_channel))
        self.mel = PowerMel(settings.mel, settings.sample_rate_hz)
        self.pcen = Pcen(settings.mel.n_mels) if settings.compression == "pcen" else None
        self.bn0 = nn.BatchNorm2d(settings.mel.n_mels)
        self.mask = SpecMask(settings.mask_time, settings.mask_freq)
        self.used = used_parameters(self.network, 1 + settings.frequency_channel)
        self.groups = {name: k for k, name in enumerate(_layer_names(self.network), start=1)}
        self.num_depths = len(self.groups) + 1

    def load_pretrained(self) -> None:
        """timm's weights, where ``pretrained`` asks for them; timm adapts them to our number of input channels."""
        if not self.settings.pretrained:
            return
        try:
            self.network.load_state_dict(timm_features(self.settings, pretrained=True).state_dict())
        except (OSError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"model.architecture={self.settings.architecture}: no pretrained weights ({first_line(error)})"
            ) from None

    def forward(self, waveform: Tensor, num_frames: int, valid: ValidLengths | None = None) -> Tensor:
        """(B, N) -> (B, num_frames, D). Padding counts as silence."""
        power = self.mel(waveform, num_frames * self.mel_frames)[:, : num_frames * self.mel_frames]
        x = power_to_db(power) if self.pcen is None else self.pcen(power)
        x = self.mask(self.bn0(x[:, None].transpose(1, 3)).transpose(1, 3))  # (B, 1, M, F)
        if self.shift:  # one more frame in front, dropped again below
            x = F.pad(x, (0, 0, self.mel_frames - self.shift, self.shift), mode="replicate")
        if self.settings.frequency_channel:
            x = add_frequency_channel(x)
        features: Tensor = self.network(x)[-1].mean(dim=3).transpose(1, 2)
        return features[:, 1:] if self.shift else features

    def is_used(self, name: str) -> bool:
        """Layers that feed only feature maps we do not take are unused."""
        return not name.startswith("network.") or name.removeprefix("network.") in self.used

    def depth(self, name: str) -> int:
        """The front-end is 0, then the network's layers in order."""
        if not name.startswith("network."):
            return 0
        return self.groups[_layer_of(name.removeprefix("network."))]


def timm_features(settings: SpectrogramSettings, *, pretrained: bool) -> Any:  # noqa: ANN401 - timm has no types
    """timm's feature extractor for a (B, channels, mel frames, mel bands) image."""
    timm = require_extra("timm", "spectrogram")
    options: dict[str, Any] = {"in_chans": 1 + settings.frequency_channel, "pretrained": pretrained}
    if settings.drop_path:
        options["drop_path_rate"] = settings.drop_path
    if settings.stages:
        options["out_indices"] = tuple(range(settings.stages))
    if pretrained and settings.checkpoint:
        options["pretrained_cfg_overlay"] = {"file": settings.checkpoint}
    try:
        network = timm.create_model(settings.architecture, features_only=True, **options)
    except (RuntimeError, TypeError, ValueError, KeyError, AssertionError, OSError, AttributeError) as error:
        raise ValueError(f"timm cannot make architecture={settings.architecture!r} with frames: {error}") from None
    return trim(network, int(options["in_chans"]))


def trim(network: Any, channels: int) -> Any:  # noqa: ANN401 - timm has no types
    """Drop the last blocks that no feature map needs: timm's EfficientNets keep and compute them."""
    blocks = getattr(network, "blocks", None)
    if isinstance(blocks, nn.Sequential):
        needed = used_parameters(network, channels)
        while len(blocks) and not any(
            f"blocks.{len(blocks) - 1}.{name}" in needed for name, _ in blocks[-1].named_parameters()
        ):
            del blocks[-1]
    return network


def used_parameters(network: Any, channels: int) -> set[str]:  # noqa: ANN401 - timm has no types
    """Names of the parameters that the last feature map depends on, by a backward pass without data."""
    ghost = copy.deepcopy(network).to("meta")
    size = 4 * int(network.feature_info.reduction()[-1])
    names, parameters = zip(*ghost.named_parameters(), strict=True)
    with torch.enable_grad():
        last = ghost(torch.zeros(2, channels, size, size, device="meta"))[-1].sum()
    grads = torch.autograd.grad(last, parameters, allow_unused=True)
    return {name for name, grad in zip(names, grads, strict=True) if grad is not None}


def time_offset(network: Any, channels: int) -> float:  # noqa: ANN401 - timm has no types
    """Where output frame 0 is centered, in input frames; 0 is the center of input frame 0.

    A layer of kernel k, stride s and left padding p centers output j on input ``s j + (k - 1) / 2 - p``. Only strided
    layers shift; where a shortcut with another offset runs beside, their mean counts (a quarter frame off at most).
    Shapes are found by a pass without data.
    """
    size = 4 * int(network.feature_info.reduction()[-1])
    ghost = copy.deepcopy(network).to("meta").eval()
    offsets: dict[int, list[float]] = {}

    def record(layer: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:  # noqa: ANN401 - hook
        reduction = size // inputs[0].shape[2]
        offsets.setdefault(reduction, []).append(reduction * _own_offset(layer))

    for layer in ghost.modules():
        if hasattr(layer, "kernel_size") and _first(getattr(layer, "stride", 1)) > 1:
            layer.register_forward_hook(record)
    with torch.no_grad():
        ghost(torch.zeros(1, channels, size, size, device="meta"))
    return sum(sum(found) / len(found) for found in offsets.values())


def _own_offset(layer: Any) -> float:  # noqa: ANN401 - a convolution or a pool
    kernel, stride = _first(layer.kernel_size), _first(layer.stride)
    same = type(layer).__name__.endswith("Same")  # TensorFlow's padding, computed in forward
    padding = max(kernel - stride, 0) // 2 if same else _first(getattr(layer, "padding", 0))
    return (kernel - 1) / 2 - padding


def _first(value: Any) -> int:  # noqa: ANN401 - int or pair
    return int(value[0] if isinstance(value, tuple | list) else value)


def _layer_of(name: str) -> str:
    """``blocks.3.1.conv.weight`` -> ``blocks.3``; ``conv_stem.weight`` -> ``conv_stem``."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() else parts[0]


def _layer_names(network: nn.Module) -> list[str]:
    """Layers in order of registration."""
    return list(dict.fromkeys(_layer_of(name) for name, _ in network.named_parameters()))
