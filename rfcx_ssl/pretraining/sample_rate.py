"""Give an encoder another sample rate: what makes frames of a waveform is resampled, all else stays as it is."""

import copy
from fractions import Fraction
from typing import Any, cast

import torch
import torch.nn.functional as F
from transformers import Wav2Vec2ForPreTraining, Wav2Vec2Model

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig

Encoder = Wav2Vec2Model | Wav2Vec2ForPreTraining


def change_sample_rate(model: Encoder, old_hz: int, new_hz: int) -> Encoder:
    """A copy of ``model`` that hears at ``new_hz`` what it heard at ``old_hz``; frames keep their length in seconds.

    Raw-wave: kernel and stride of the first convolution are multiplied by ``new_hz / old_hz``; its taps are
    interpolated linearly between tap centers and scaled, so that a sound both rates can carry gives (nearly) the same
    features. What lies above ``old_hz / 2`` is new to the encoder: it has never learnt to tell it from silence.

    Log-mel: window and hop are multiplied by ``new_hz / old_hz``, ``log_floor`` by its square as the power is; bands
    and weights stay. The encoder goes on hearing its own bands and nothing above them.

    Args:
        model: ``Wav2Vec2Model``, or a model that holds one as ``wav2vec2``.
        old_hz: rate the model was trained at.
        new_hz: rate of the copy.

    Raises:
        CheckpointError: a stride would be no whole number of samples, or the new rate does not carry a log-mel band.
    """
    ratio = Fraction(new_hz, old_hz)
    if isinstance(model.config, Wav2Vec2MelConfig):
        return _change_mel(model, ratio, new_hz)
    return _change_convolution(model, ratio, old_hz, new_hz)


def describe_front_end(model: Encoder) -> str:
    """What :func:`change_sample_rate` changes, in samples."""
    if isinstance(model.config, Wav2Vec2MelConfig):
        mel: Any = model.config.mel_extractor["mel"]
        return f"log-mel: window {mel['n_fft']} samples, hop {mel['hop_samples']}"
    return f"first convolution: {model.config.conv_kernel[0]} samples, stride {model.config.conv_stride[0]}"


def _change_convolution(model: Encoder, ratio: Fraction, old_hz: int, new_hz: int) -> Encoder:
    stride = model.config.conv_stride[0] * ratio
    if stride.denominator != 1 or stride < 1:
        raise CheckpointError(
            f"--sample-rate {new_hz}: the first convolution steps {model.config.conv_stride[0]} samples at {old_hz} Hz, "
            f"which is no whole number of samples at {new_hz} Hz"
        )
    changed: Encoder = copy.deepcopy(model)
    encoder = changed.wav2vec2 if isinstance(changed, Wav2Vec2ForPreTraining) else changed
    conv: Any = encoder.feature_extractor.conv_layers[0].conv
    old_kernel = conv.kernel_size[0]
    kernel = max(round(old_kernel * ratio), int(stride))
    with torch.no_grad():
        taps = F.interpolate(conv.weight, size=kernel, mode="linear", align_corners=False)
        conv.weight = torch.nn.Parameter(taps * (old_kernel / kernel))
    conv.kernel_size, conv.stride = (kernel,), (int(stride),)
    changed.config.conv_kernel = [kernel, *changed.config.conv_kernel[1:]]  # one config, shared with its encoder
    changed.config.conv_stride = [int(stride), *changed.config.conv_stride[1:]]
    return changed


def _change_mel(model: Encoder, ratio: Fraction, new_hz: int) -> Encoder:
    values = model.config.mel_extractor
    mel: Any = values["mel"]
    n_fft, hop = mel["n_fft"] * ratio, mel["hop_samples"] * ratio
    if n_fft.denominator != 1 or hop.denominator != 1:
        raise CheckpointError(
            f"--sample-rate {new_hz}: the log-mel has a window of {mel['n_fft']} samples and steps {mel['hop_samples']}, "
            f"which would be {float(n_fft):g} and {float(hop):g} at {new_hz} Hz: no whole numbers"
        )
    if mel["f_max_hz"] > new_hz / 2:
        raise CheckpointError(f"--sample-rate {new_hz}: the log-mel hears up to {mel['f_max_hz']:g} Hz")
    scaled = values | {
        "mel": mel | {"n_fft": int(n_fft), "hop_samples": int(hop)},
        "log_floor": values["log_floor"] * float(ratio**2),
    }
    config = Wav2Vec2MelConfig(**model.config.to_dict() | {"mel_extractor": scaled, "sample_rate_hz": new_hz})
    changed: Any = type(model)(config)
    own = {name: tensor for name, tensor in changed.state_dict().items() if ".mel." in f".{name}"}
    changed.load_state_dict(model.state_dict() | own)
    return cast(Encoder, changed.eval())
