"""What is compared: frozen encoders, their like with random weights, and log-mel frames. Waveform in, features out."""

import hashlib
import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.encoder_directory import load_quantizer
from rfcx_ssl.models.mel import MelSettings, PowerMel, power_to_db
from rfcx_ssl.models.wav2vec import Wav2Vec2Encoder, Wav2Vec2Settings
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint
from rfcx_ssl.pretraining.convert import feature_extractor, to_transformers

FRAME_S = 0.16  # length of a frame of features, about: a whole number of the encoder's own frames
QUIET_DB = -80.0  # added to the power of a mel band: below the noise of a quiet forest


class Listener(nn.Module, ABC):
    """A frozen source of features, float32, one row per pooled frame of ``hop_samples`` samples.

    A row is the output of the convolutions (``extractor_dim``, 0 where there is none) and then ``num_states`` states of
    ``dim`` each.
    """

    sample_rate_hz: int
    hop_samples: int
    extractor_dim: int
    num_states: int
    dim: int

    @property
    def width(self) -> int:
        """Numbers in a row."""
        return self.extractor_dim + self.num_states * self.dim

    @property
    @abstractmethod
    def key(self) -> str:
        """A hash of everything that decides the features: of settings and weights."""


class EncoderListener(Listener):
    """All layers of a wav2vec-family encoder, and what its convolutions say.

    ``quantizer`` is the linear layer from normalized convolution features to codes, where the encoder has one.
    """

    def __init__(self, encoder: Wav2Vec2Encoder, quantizer: "Quantizer | None" = None) -> None:
        super().__init__()
        self.encoder, self.quantizer = encoder, quantizer
        encoder.mix = _Stack()  # type: ignore[assignment]
        self._frames_per_row = max(1, round(FRAME_S * encoder.sample_rate_hz / encoder.hop_samples))
        self.sample_rate_hz = encoder.sample_rate_hz
        self.hop_samples = encoder.hop_samples * self._frames_per_row
        self.num_states, self.dim = encoder.num_layers + 1, encoder.dim
        self.extractor_dim = int(encoder.backbone.config.conv_dim[-1])
        self._heard: list[Tensor] = []
        encoder.backbone.feature_projection.register_forward_pre_hook(self._keep)
        self.eval().requires_grad_(False)

    def _keep(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._heard[:] = inputs[:1]

    def forward(self, waveform: Tensor) -> Tensor:
        """(N,) -> (N / hop_samples, width); N is a multiple of the hop."""
        states, extracted = self._hear(waveform)
        rows = torch.cat([extracted, states.flatten(1)], dim=1)
        return rows.reshape(-1, self._frames_per_row, rows.shape[1]).mean(dim=1)

    def codes(self, waveform: Tensor) -> Tensor:
        """Chosen code (T, G) of every own frame of the encoder, by the largest of the quantizer's logits."""
        if self.quantizer is None:
            raise ValueError("this encoder has no quantizer")
        extracted = self.encoder.backbone.feature_projection.layer_norm(self._hear(waveform)[1])
        logits: Tensor = self.quantizer.project(extracted)
        return logits.reshape(len(logits), self.quantizer.num_groups, -1).argmax(dim=-1)

    def _hear(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """All states (T, num_states, D) and the convolutions' output (T, C), at the encoder's own frames."""
        states = self.encoder(waveform[None], waveform.shape[0] // self.encoder.hop_samples)[0]
        return states, self._heard.pop()[0]

    @property
    def architecture(self) -> str:
        """A hash of all but the weights: encoders that share it share their controls."""
        config = {k: v for k, v in self.encoder.backbone.config.to_dict().items() if k not in _NOT_THE_NETWORK}
        front = [self.sample_rate_hz, self.encoder.normalize, self.encoder.normalize_eps, self.hop_samples]
        return _digest(json.dumps([config, front], sort_keys=True, default=str).encode())

    @property
    def key(self) -> str:
        """Hash of architecture and weights."""
        state = self.encoder.state_dict()
        parts = [self.architecture.encode()]
        parts += [name.encode() + state[name].cpu().numpy().tobytes() for name in sorted(state)]
        return _digest(*parts)

    def with_random_weights(self, seed: int) -> "EncoderListener":
        """The same architecture as it is before any training."""
        config = self.encoder.backbone.config.to_dict()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            encoder = Wav2Vec2Encoder(
                self.encoder.settings, config, self.encoder.sample_rate_hz, self.encoder.normalize
            )
        return EncoderListener(encoder)


class MelListener(Listener):
    """Log-mel power as long as a frame: what a probe reaches without any encoder."""

    def __init__(self, sample_rate_hz: int, hop_samples: int, n_mels: int = 64) -> None:
        super().__init__()
        self.sample_rate_hz, self.hop_samples = sample_rate_hz, hop_samples
        self._frames_per_row = max(1, round(hop_samples / (0.01 * sample_rate_hz)))
        while hop_samples % self._frames_per_row:
            self._frames_per_row -= 1
        step = hop_samples // self._frames_per_row
        self.settings = MelSettings(
            n_fft=1 << (max(step, sample_rate_hz // 32) - 1).bit_length(),
            hop_samples=step,
            n_mels=n_mels,
            f_max_hz=min(14_000.0, sample_rate_hz / 2),
        )
        self.mel = PowerMel(self.settings, sample_rate_hz)
        self.extractor_dim, self.num_states, self.dim = 0, 1, n_mels

    def forward(self, waveform: Tensor) -> Tensor:
        """(N,) -> (N / hop_samples, n_mels)."""
        power = self.mel(waveform[None], waveform.shape[0] // self.settings.hop_samples)[0]
        levels: Tensor = power_to_db(power + 10 ** (QUIET_DB / 10))
        return levels.reshape(-1, self._frames_per_row, self.dim).mean(dim=1)

    @property
    def key(self) -> str:
        """Hash of the mel settings."""
        return _digest(repr([self.settings, self.sample_rate_hz, self.hop_samples, QUIET_DB]).encode())


class Quantizer(NamedTuple):
    """``weight_proj`` of wav2vec 2.0's Gumbel quantizer: to the logits of ``num_groups`` codebooks, side by side."""

    project: nn.Linear
    num_groups: int


class Opened(NamedTuple):
    """An encoder as the probe was asked for it."""

    name: str  # for tables
    listener: EncoderListener
    num_updates: int | None  # of a fairseq checkpoint


def open_encoder(source: str) -> Opened:
    """An encoder directory, a hub id or a fairseq checkpoint (``*.pt``, converted on the fly), frozen.

    Raises:
        CheckpointError: it is not there, or is not an encoder of this family.
    """
    if not source.endswith(".pt"):
        listener = _open_directory(source)
        return Opened(Path(source).name if Path(source).is_dir() else source, listener, None)
    checkpoint = load_fairseq_checkpoint(Path(source))
    model = to_transformers(checkpoint, heads="quantizer.vars" in checkpoint.weights)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        feature_extractor(checkpoint).save_pretrained(folder)
        listener = _open_directory(folder)
    return Opened(f"{Path(source).stem}, {checkpoint.num_updates} updates", listener, checkpoint.num_updates)


def check_there(source: str) -> None:
    """Raise :class:`CheckpointError` for a checkpoint file that is missing: before others are worked on."""
    if source.endswith(".pt") and not Path(source).is_file():
        raise CheckpointError(f"{source}: no such checkpoint")


def _open_directory(source: str) -> EncoderListener:
    settings = Wav2Vec2Settings(encoder=source, layer_mix=True)
    values: Mapping[str, Any] = settings.config_values()
    encoder = Wav2Vec2Encoder(settings, values["backbone"], values["sample_rate_hz"], values["normalize_waveform"])
    encoder.load_pretrained()
    return EncoderListener(encoder, _read_quantizer(source))


def _read_quantizer(source: str) -> Quantizer | None:
    found = load_quantizer(source)
    return None if found is None else Quantizer(found.weight_proj, int(found.num_groups))


class _Stack(nn.Module):
    """In the place of a layer mix: all states side by side, (B, T, L + 1, D)."""

    def forward(self, states: tuple[Tensor, ...]) -> Tensor:
        return torch.stack(states, dim=2)


_NOT_THE_NETWORK = ("transformers_version", "_name_or_path", "architectures", "dtype")


def _digest(*parts: bytes) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(part)
    return made.hexdigest()[:16]
