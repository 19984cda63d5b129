"""The PANNs family (Kong et al. 2020, arXiv:1912.10211): CNN6, CNN10, CNN14 and smaller ones, frame-wise.

Parameter names are those of the published checkpoints, so their weights load one to one (panns_checkpoint.py).
"""

from pathlib import Path
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor, nn

from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder import Encoder, SedSettings, ValidLengths, fit_frames
from rfcx_ssl.models.mel import MelSettings, PowerMel, add_frequency_channel, power_to_db
from rfcx_ssl.models.panns_checkpoint import load_panns_encoder, read_panns_checkpoint
from rfcx_ssl.models.spec_mask import SpecMask, StripeSettings
from rfcx_ssl.settings import settings


@settings
class PannsSettings(SedSettings):
    """A VGG-like CNN over the log-mel spectrogram. The defaults are CNN14's."""

    kind: Literal["panns"] = "panns"
    sample_rate_hz: int = 32_000
    mel: MelSettings = MelSettings()
    channels: tuple[int, ...] = (64, 128, 256, 512, 1024, 2048)  # one convolution block each
    time_pools: tuple[int, ...] = (2, 2, 2, 2, 2, 1)  # mel frames averaged after each block
    freq_pools: tuple[int, ...] = (2, 2, 2, 2, 2, 1)  # mel bands averaged after each block
    convs_per_block: Literal[1, 2] = 2  # two 3x3 convolutions, or one 5x5 as in CNN6
    embedding_dim: int = 2048
    block_dropout: float = 0.2
    embedding_dropout: float = 0.5
    mask_time: StripeSettings | None = None
    mask_freq: StripeSettings | None = None
    frequency_channel: bool = False  # a second input channel that says which band it is; not in the published models
    checkpoint: str = ""  # an official .pth file; empty starts from random weights

    def __post_init__(self) -> None:
        """Check the rules between fields."""
        super().__post_init__()
        if not len(self.channels) == len(self.time_pools) == len(self.freq_pools) > 0:
            raise ValueError("channels, time_pools and freq_pools must have one entry per block")
        values = (*self.channels, *self.time_pools, *self.freq_pools, self.embedding_dim)
        if min(values) < 1 or max(values) > 2**13 or len(self.channels) > 64:
            raise ValueError(
                "channels, time_pools, freq_pools and embedding_dim must be 1 to 2^13, in at most 64 blocks"
            )
        if not (0 <= self.block_dropout < 1 and 0 <= self.embedding_dropout < 1):
            raise ValueError("block_dropout and embedding_dropout must be in [0, 1)")
        bands = self.mel.n_mels
        for pool in self.freq_pools:
            bands //= pool
        if bands < 1:
            raise ValueError(f"freq_pools={self.freq_pools} leave nothing of {self.mel.n_mels} mel bands")

    def config_values(self) -> dict[str, Any]:
        """The sample rate."""
        return {"sample_rate_hz": self.sample_rate_hz}

    def make_encoder(self, config: RainforestSedConfig) -> "PannsEncoder":
        """The CNN."""
        return PannsEncoder(self)


class ConvBlock(nn.Module):
    """One or two convolutions with batch norm and ReLU, then average pooling over time and frequency."""

    def __init__(self, in_channels: int, out_channels: int, convs: int) -> None:
        super().__init__()
        size = 3 if convs == 2 else 5
        self.conv1 = nn.Conv2d(in_channels, out_channels, size, padding=size // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, size, padding=size // 2, bias=False) if convs == 2 else None
        self.bn2 = nn.BatchNorm2d(out_channels) if convs == 2 else None
        for conv in (self.conv1, self.conv2):
            if conv is not None:
                nn.init.xavier_uniform_(conv.weight)

    def forward(self, x: Tensor, pool: tuple[int, int]) -> Tensor:
        """(B, C, M, F) -> (B, C', M // pool[0], F // pool[1])."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        if self.conv2 is not None and self.bn2 is not None:
            x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        return F.avg_pool2d(x, pool) if pool != (1, 1) else x


class PannsEncoder(Encoder):
    """Log-mel, batch norm over mel bands, convolution blocks, mean over frequency, one fully connected layer."""

    def __init__(self, settings: PannsSettings) -> None:
        super().__init__()
        self.settings = settings
        self.sample_rate_hz = settings.sample_rate_hz
        self.mel_frames = 1  # mel frames per encoder frame
        for pool in settings.time_pools:
            self.mel_frames *= pool
        self.hop_samples = settings.mel.hop_samples * self.mel_frames
        self.dim = settings.embedding_dim
        self.num_depths = len(settings.channels) + 2
        self.mel = PowerMel(settings.mel, settings.sample_rate_hz)
        self.bn0 = nn.BatchNorm2d(settings.mel.n_mels)
        self.mask = SpecMask(settings.mask_time, settings.mask_freq)
        self.pools = list(zip(settings.time_pools, settings.freq_pools, strict=True))
        before = 1 + settings.frequency_channel
        for number, channels in enumerate(settings.channels, start=1):
            self.add_module(f"conv_block{number}", ConvBlock(before, channels, settings.convs_per_block))
            before = channels
        self.fc1 = nn.Linear(before, settings.embedding_dim)
        nn.init.xavier_uniform_(self.fc1.weight)
        nn.init.zeros_(self.fc1.bias)

    def load_pretrained(self) -> None:
        """The published weights, where ``checkpoint`` names their file."""
        if path := self.settings.checkpoint:
            load_panns_encoder(self, read_panns_checkpoint(Path(path)), f"model.checkpoint={path}")

    def forward(self, waveform: Tensor, num_frames: int, valid: ValidLengths | None = None) -> Tensor:
        """(B, N) -> (B, num_frames, D). Padding counts as silence."""
        db = power_to_db(self.mel(waveform, num_frames * self.mel_frames))
        return fit_frames(self.frames(db), num_frames)

    def frames(self, db: Tensor) -> Tensor:
        """Log-mel (B, M, n_mels) -> (B, M // mel_frames, D): the published decision-level form."""
        x = self.features(db)
        x = (F.max_pool1d(x, 3, 1, 1) + F.avg_pool1d(x, 3, 1, 1)).transpose(1, 2)
        return F.relu(self.fc1(F.dropout(x, self.settings.embedding_dropout, self.training)))

    def features(self, db: Tensor) -> Tensor:
        """Log-mel (B, M, n_mels) -> (B, C, M // mel_frames), mean over frequency of the last block."""
        x = self.bn0(db[:, None].transpose(1, 3)).transpose(1, 3)  # (B, 1, M, n_mels), normalized per band
        x = self.mask(x)
        if self.settings.frequency_channel:
            x = add_frequency_channel(x)
        for number, pool in enumerate(self.pools, start=1):
            x = self.get_submodule(f"conv_block{number}")(x, pool)
            x = F.dropout(x, self.settings.block_dropout, self.training)
        mean: Tensor = x.mean(dim=3)
        return mean

    def depth(self, name: str) -> int:
        """``bn0`` is 0, block i is i, ``fc1`` comes last."""
        if name.startswith("conv_block"):
            return int(name.removeprefix("conv_block").split(".")[0])
        return self.num_depths - 1 if name.startswith("fc1") else 0
