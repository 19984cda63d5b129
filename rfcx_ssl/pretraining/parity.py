"""The proof of a conversion: the same audio through fairseq and transformers, and the largest difference.

fairseq is imported here and nowhere else in the conversion.
"""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining

from rfcx_ssl.audio import audio_info, read_audio
from rfcx_ssl.errors import CheckpointError, first_line, require_extra
from rfcx_ssl.models.wav2vec import frame_geometry
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint, parse_conv_layers
from rfcx_ssl.pretraining.convert import NORMALIZE_EPS, feature_extractor, sample_rate_hz
from rfcx_ssl.provenance import versions

TOLERANCE = 1e-4
_MAX_FILE_S = 30.0


def prove_parity(checkpoint: FairseqCheckpoint, model: PreTrainedModel, audio: Sequence[Path] = ()) -> dict[str, Any]:
    """Run the same audio through both libraries and report the differences.

    Args:
        checkpoint: the fairseq side.
        model: the converted transformers model, in eval mode.
        audio: files to use (the first 30 s of each); noise and tones of several lengths where none are given.

    Returns:
        The content of ``parity.json``: largest absolute differences of the last hidden state and of the normalized
        extractor features, the scale they have, what was compared, versions, and ``passed``.

    Raises:
        CheckpointError: the model is deaf to all of the audio (fewer samples than one frame needs).
        MissingExtraError: fairseq is not installed.
    """
    reference = build_fairseq_model(checkpoint)
    preprocess = feature_extractor(checkpoint)
    encoder = model.wav2vec2 if isinstance(model, Wav2Vec2ForPreTraining) else model
    normalize = bool(checkpoint.task.get("normalize", False))
    cases: list[dict[str, Any]] = []
    least = 2 * frame_geometry(encoder.config)[1]  # two frames
    for name, waveform in proof_waveforms(sample_rate_hz(checkpoint), audio, least).items():
        source = torch.from_numpy(waveform)[None]
        source = torch.nn.functional.layer_norm(source, source.shape[1:], eps=NORMALIZE_EPS) if normalize else source
        cases.append({"audio": name, "samples": waveform.size, **_compare(reference, encoder, source)})
        cases[-1]["preprocessor_hidden_difference"] = _preprocessor_difference(encoder, preprocess, waveform, source)
    hidden = max(case["hidden_difference"] for case in cases)
    features = max(case["feature_difference"] for case in cases)
    return {
        "passed": bool(hidden < TOLERANCE and features < TOLERANCE),
        "max_abs_difference_last_hidden_state": hidden,
        "max_abs_difference_extractor_features": features,
        "tolerance": TOLERANCE,
        "sample_rate_hz": sample_rate_hz(checkpoint),
        "extractor_reach_s": getattr(encoder.feature_extractor, "reach_s", None),  # None: nobody promises one
        "checkpoint": checkpoint.path.name,
        "checkpoint_sha256": checkpoint.sha256,
        "num_updates": checkpoint.num_updates,
        "versions": versions(("torch", "transformers", "fairseq-fixed", "rfcx-ssl")),
        "cases": cases,
    }


def build_fairseq_model(checkpoint: FairseqCheckpoint) -> torch.nn.Module:
    """The fairseq model of a checkpoint with its weights (random where it has none), float32, in eval mode."""
    with warnings.catch_warnings():  # fairseq's imports and its old weight_norm are deprecated, and still correct
        warnings.simplefilter("ignore")
        return _build_fairseq_model(checkpoint)


def fairseq_class(model: Mapping[str, Any]) -> tuple[Any, Any]:
    """fairseq's model class for the settings of a model, and the class of its config.

    Raises:
        MissingExtraError: fairseq is not installed.
    """
    wav2vec2 = require_extra("fairseq.models.wav2vec.wav2vec2", "pretrain")
    if model.get("_name") != Wav2Vec2MelConfig.model_type:
        return wav2vec2.Wav2Vec2Model, wav2vec2.Wav2Vec2Config
    from rfcx_ssl.pretraining.plugin.mel_model import MelWav2Vec2Config, MelWav2Vec2Model

    return MelWav2Vec2Model, MelWav2Vec2Config


def _build_fairseq_model(checkpoint: FairseqCheckpoint) -> torch.nn.Module:
    settings = dict(checkpoint.model)
    kind, config = fairseq_class(settings)
    if "sample_rate" in config.__dataclass_fields__:
        settings["sample_rate"] = sample_rate_hz(checkpoint)
    else:  # fairseq evaluates this text as Python: hand it only what our own parser has understood
        settings["conv_feature_layers"] = repr(parse_conv_layers(settings["conv_feature_layers"]))
    known = config.__dataclass_fields__
    try:
        model: torch.nn.Module = kind(config(**{key: value for key, value in settings.items() if key in known}))
    except (TypeError, ValueError, AssertionError, AttributeError, IndexError, KeyError, RuntimeError) as error:
        raise CheckpointError(f"{checkpoint.path}: fairseq cannot build its model ({first_line(error)})") from None
    weights = dict(checkpoint.weights)
    if "encoder.pos_conv.0.weight_g" in model.state_dict():
        newer = "encoder.pos_conv.0.parametrizations.weight.original"
        for old, number in (("weight_g", 0), ("weight_v", 1)):
            if f"{newer}{number}" in weights:
                weights[f"encoder.pos_conv.0.{old}"] = weights.pop(f"{newer}{number}")
    if not weights:  # a network that is to keep its random weights
        return model.float().eval()
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(
            f"{checkpoint.path}: fairseq rejects the weights ({str(error).splitlines()[-1]})"
        ) from None
    return model.float().eval()


@torch.no_grad()
def _compare(reference: Any, encoder: Any, source: Tensor) -> dict[str, float]:  # noqa: ANN401 - two libraries' models
    """Largest absolute differences for one waveform (1, N) that is already normalized where the task asks for it."""
    theirs = reference.extract_features(source, padding_mask=None, mask=False)
    ours = encoder(source)
    if ours.last_hidden_state.shape != theirs["x"].shape:
        shapes = f"{tuple(ours.last_hidden_state.shape)} and {tuple(theirs['x'].shape)}"
        raise CheckpointError(f"transformers and fairseq give different shapes: {shapes}")
    return {
        "frames": theirs["x"].shape[1],
        "hidden_difference": (ours.last_hidden_state - theirs["x"]).abs().max().item(),
        "feature_difference": (ours.extract_features - theirs["features"]).abs().max().item(),
        "hidden_rms": theirs["x"].square().mean().sqrt().item(),
    }


@torch.no_grad()
def _preprocessor_difference(
    encoder: Any,  # noqa: ANN401
    preprocess: Wav2Vec2FeatureExtractor,
    waveform: np.ndarray,
    source: Tensor,
) -> float:
    """What transformers' own preprocessor changes against fairseq's normalization (it adds 1e-7, fairseq 1e-5)."""
    inputs = preprocess(waveform, sampling_rate=preprocess.sampling_rate, return_tensors="pt").input_values
    difference = encoder(inputs).last_hidden_state - encoder(source).last_hidden_state
    return float(difference.abs().max())


def proof_waveforms(rate_hz: int, audio: Sequence[Path], least_samples: int) -> Mapping[str, np.ndarray]:
    """Float32 mono waveforms at ``rate_hz`` by name: the beginning of each file, or noise and sweeps.

    Raises:
        CheckpointError: none has ``least_samples`` samples.
    """
    found = {str(path): _head(path, rate_hz) for path in audio} if audio else _builtin_waveforms(rate_hz)
    usable = {name: waveform for name, waveform in found.items() if waveform.size >= least_samples}
    if not usable:
        raise CheckpointError(
            f"parity needs audio of at least {least_samples / rate_hz:.3f} s, got {len(found)} shorter files"
        )
    return usable


def _head(path: Path, rate_hz: int) -> np.ndarray:
    """The first 30 s of a file at ``rate_hz``."""
    info = audio_info(path)
    return read_audio(path, num_samples=round(min(_MAX_FILE_S, info.duration_s) * rate_hz), sample_rate_hz=rate_hz)


def _builtin_waveforms(rate_hz: int) -> dict[str, np.ndarray]:
    """Noise and a swept tone at several loudnesses and (odd and even) lengths."""
    rng = np.random.default_rng(0)
    found = {}
    for seconds, loudness in ((0.731, 0.1), (2.0, 0.003), (5.417, 0.3)):
        num_samples = round(seconds * rate_hz) | 1
        time_s = np.arange(num_samples) / rate_hz
        sweep = np.sin(2 * np.pi * (200 + 0.2 * rate_hz * time_s / seconds / 2) * time_s)
        waveform = loudness * (rng.standard_normal(num_samples) + 2 * sweep)
        found[f"noise and sweep {seconds} s"] = waveform.astype(np.float32)
    return found
