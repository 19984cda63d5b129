"""Give a raw-wave encoder another sample rate: its first convolution is resampled, all else stays as it is."""

import copy
from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F
from transformers import Wav2Vec2ForPreTraining, Wav2Vec2Model

from rfcx_ssl.errors import CheckpointError


def change_sample_rate(
    model: Wav2Vec2Model | Wav2Vec2ForPreTraining, old_hz: int, new_hz: int
) -> Wav2Vec2Model | Wav2Vec2ForPreTraining:
    """A copy of ``model`` whose first kernel lasts as long, in seconds, at ``new_hz`` as it did at ``old_hz``.

    Kernel and stride of the first convolution are multiplied by ``new_hz / old_hz``; its taps are interpolated linearly
    between tap centers and scaled, so that a sound both rates can carry gives (nearly) the same features. Frames keep
    their length, and every other weight its value. What lies above ``old_hz / 2`` is new to the encoder: it has never
    learnt to tell it from silence.

    Args:
        model: ``Wav2Vec2Model``, or a model that holds one as ``wav2vec2``.
        old_hz: rate the model was trained at.
        new_hz: rate of the copy.

    Raises:
        CheckpointError: the stride would not be a whole number of samples.
    """
    ratio = Fraction(new_hz, old_hz)
    stride = model.config.conv_stride[0] * ratio
    if stride.denominator != 1 or stride < 1:
        raise CheckpointError(
            f"--sample-rate {new_hz}: the first convolution steps {model.config.conv_stride[0]} samples at {old_hz} Hz, "
            f"which is no whole number of samples at {new_hz} Hz"
        )
    changed = copy.deepcopy(model)
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
