"""What a network hears before it decides: features of frames, of a trained model or of a bare pretrained encoder."""

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.load import is_finite, load_model, pick_device
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED, Windows, choose_windows, windows_in_force
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder_directory import model_type
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.wav2vec import Wav2Vec2Encoder, Wav2Vec2Settings

ENCODER_WINDOW_S = 5.0  # of an encoder that was validated with nothing, each beside the next


class Embedder(Protocol):
    """Features of frames. Every (B, N) is answered with exactly ``grid.num_frames(N)`` of them."""

    grid: FrameGrid
    windows: Windows  # how recordings are cut
    dim: int
    layer: int | None  # whose output it is; None: what a trained model's head sees, or an encoder's last layer

    def frames(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, N) -> features (B, T, D), float32 on the CPU."""


class ModelEmbedder:
    """What the head of a trained model sees; the mean over a window's frames is ``SedOutput.embedding``."""

    layer: int | None = None

    def __init__(self, model: RainforestSedModel, windows: WindowSettings = AS_VALIDATED) -> None:
        self.model, self.grid, self.dim = model, model.grid, model.embedding_dim
        self.windows = windows_in_force(model, windows)
        self._seen: list[Tensor] = []
        model.head.register_forward_pre_hook(self._see)

    def _see(self, _head: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen[:] = inputs[:1]

    @torch.inference_mode()
    def frames(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, N) -> features (B, T, D)."""
        self.model(waveform.to(self.model.device, torch.float32))
        return self._seen.pop().float().cpu()


class EncoderEmbedder:
    """Hidden states of an encoder of the wav2vec family, on its own frames.

    ``layer`` counts the transformer's layers from 1; 0 is its input. The encoder is for this alone from now on.
    """

    def __init__(self, encoder: Wav2Vec2Encoder, name: str, windows: Windows, layer: int | None = None) -> None:
        if layer is not None and not 0 <= layer <= encoder.num_layers:
            raise ConfigError(f"layer={layer}: {name} has layers 1 to {encoder.num_layers}, and 0 before them")
        if layer is not None:
            encoder.mix = _OneState(layer)  # type: ignore[assignment]
        self.encoder, self.windows, self.layer = encoder.eval(), windows, layer
        self.grid, self.dim = FrameGrid(encoder.sample_rate_hz, encoder.hop_samples), encoder.dim
        self._device = next(encoder.parameters()).device

    @torch.inference_mode()
    def frames(self, waveform: Tensor) -> Tensor:
        """Waveforms (B, N) -> features (B, T, D)."""
        samples = waveform.to(self._device, torch.float32)
        states: Tensor = self.encoder(samples, self.grid.num_frames(samples.shape[1]))
        return states.float().cpu()


class _OneState(nn.Module):
    """In the place of a layer mix: one of all states."""

    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, states: tuple[Tensor, ...]) -> Tensor:
        return states[self.layer]


def open_embedder(
    source: str, *, layer: int | None = None, windows: WindowSettings = AS_VALIDATED, device: str = "auto"
) -> Embedder:
    """The embedder of a trained model, or of a bare encoder directory (a hub id, too).

    Args:
        source: as for :func:`rfcx_ssl.inference.open.open_scorer`, or a directory of an encoder.
        layer: of a wav2vec-family encoder; None as in :class:`Embedder`.
        windows: None in it is as the model was validated, or 5 s without overlap for a bare encoder.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        CheckpointError: there is no such model or encoder, or it cannot be used.
        ConfigError: there is no such layer.
    """
    if model_type(source) == RainforestSedConfig.model_type:
        model = load_model(source, device)
        if layer is None:
            return ModelEmbedder(model, windows)
        if not isinstance(model.encoder, Wav2Vec2Encoder):
            raise ConfigError(f"layer={layer}: only encoders of the wav2vec family have layers to choose from")
        return EncoderEmbedder(model.encoder, source, windows_in_force(model, windows), layer)
    chosen = pick_device(device)
    encoder = _load_encoder(source).to(chosen).requires_grad_(False)
    return EncoderEmbedder(encoder, source, choose_windows(windows, {"overlap": 0.0}, ENCODER_WINDOW_S, ""), layer)


def _load_encoder(source: str) -> Wav2Vec2Encoder:
    settings = Wav2Vec2Settings(encoder=source)
    values = settings.config_values()
    encoder = Wav2Vec2Encoder(settings, values["backbone"], values["sample_rate_hz"], values["normalize_waveform"])
    encoder.load_pretrained()
    broken = [name for name, tensor in encoder.state_dict().items() if not is_finite(tensor)]
    if broken:
        raise CheckpointError(f"{source}: {len(broken)} tensors are not finite, first {broken[0]}")
    return encoder


class Heard(NamedTuple):
    """A stretch of audio that is heard, and the frames of it that count."""

    samples: Tensor  # (N,)
    kept: slice


def sums_of_frames(embedder: Embedder, pieces: list[Heard]) -> tuple[Tensor, Tensor]:
    """Sums (n, D) and numbers (n,) of the kept frames of pieces of one length, in float64."""
    features = embedder.frames(torch.stack([piece.samples for piece in pieces]))
    rows = [features[row, piece.kept].double() for row, piece in enumerate(pieces)]
    return torch.stack([row.sum(dim=0) for row in rows]), torch.tensor([len(row) for row in rows])
