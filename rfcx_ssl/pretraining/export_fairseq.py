"""Write a transformers wav2vec 2.0 encoder as a fairseq checkpoint, with a config that goes on pretraining it.

The weights keep every bit (see :mod:`rfcx_ssl.pretraining.convert`). What an encoder without pretraining heads lacks,
quantizer and projections, starts from fairseq's own random weights.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from omegaconf import OmegaConf
from torch import Tensor
from transformers import AutoModel, AutoModelForPreTraining

from rfcx_ssl.config import config_root
from rfcx_ssl.errors import CheckpointError, first_line
from rfcx_ssl.files import atomic_folder
from rfcx_ssl.models.encoder_directory import (
    MISSING_IS_FINE,
    UNLOADABLE,
    encoder_config,
    load_pretrained,
    preprocessor_values,
)
from rfcx_ssl.models.stored import stored_tensors
from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
from rfcx_ssl.pretraining.convert import NORMALIZE_EPS, fairseq_settings, to_fairseq
from rfcx_ssl.pretraining.export import refuse_taken
from rfcx_ssl.pretraining.parity import build_fairseq_model, proof_waveforms, prove_parity
from rfcx_ssl.pretraining.sample_rate import Encoder, change_sample_rate, describe_front_end

CHECKPOINT, CONFIG = "checkpoint.pt", "continue.yaml"
WRITTEN = (CHECKPOINT, CONFIG, "parity.json")
# the shipped config whose training settings the new one takes over, by fairseq's name of the model
TEMPLATES = {"wav2vec2": "wav2vec2_base_32k", "wav2vec2_mel": "wav2vec2_mel_base_32k"}
# only these may start from random weights
_HEADS = ("quantizer.", "project_q.", "final_proj.", "mask_emb")


def export_fairseq(
    encoder: str,
    out: Path,
    *,
    sample_rate_hz: int | None = None,
    audio: Sequence[Path] = (),
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the folder ``out``: checkpoint.pt, continue.yaml and parity.json; nothing is left there on failure.

    Args:
        encoder: directory or hub id of a wav2vec 2.0 encoder with preprocessor_config.json.
        out: new folder.
        sample_rate_hz: another rate than the encoder's (see :mod:`rfcx_ssl.pretraining.sample_rate`).
        audio: files for the proof; noise and sweeps where none are given.
        overwrite: replace a folder that an earlier export wrote.

    Returns:
        The content of parity.json: the measured difference between the libraries, which tensors are new
        (``random_weights``) and, with another rate, how far the features moved (``rate_change``).

    Raises:
        CheckpointError: the encoder cannot be read or has no counterpart in fairseq, or the two libraries disagree.
    """
    refuse_taken(out, overwrite, WRITTEN)
    model, rate_hz, normalize = load_encoder(encoder)
    rate_change = None
    if sample_rate_hz not in (None, rate_hz):
        assert sample_rate_hz is not None
        changed = change_sample_rate(model, rate_hz, sample_rate_hz)
        rate_change = _compare_rates(model, changed, rate_hz, sample_rate_hz, normalize, audio)
        model, rate_hz = changed, sample_rate_hz
    settings = fairseq_settings(model.config)
    task = {"_name": "audio_pretraining", "sample_rate": rate_hz, "normalize": normalize}
    weights, new = _complete(_fairseq_weights(model), settings, task, encoder)
    checkpoint = FairseqCheckpoint(out / CHECKPOINT, "", weights, settings, task, 0)
    report = prove_parity(checkpoint, model, audio)
    if not report["passed"]:
        raise CheckpointError(
            f"{encoder}: fairseq and transformers differ by {report['max_abs_difference_last_hidden_state']:.2e}; "
            f"must be below {report['tolerance']:g}"
        )
    report |= {"encoder": encoder, "random_weights": new, "rate_change": rate_change}
    with atomic_folder(out) as temporary:
        torch.save(_checkpoint_content(checkpoint), temporary / CHECKPOINT)
        OmegaConf.save(_config(settings, task, out.resolve() / CHECKPOINT), temporary / CONFIG)
        (temporary / "parity.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def load_encoder(encoder: str) -> tuple[Encoder, int, bool]:
    """Model in eval mode, float32, its sample rate in Hz, and whether it wants normalized waveforms."""
    config = encoder_config(encoder, tuple(TEMPLATES))
    heads = any(name.endswith("ForPreTraining") for name in config.architectures or ())
    kind: Any = AutoModelForPreTraining if heads else AutoModel
    values = preprocessor_values(encoder)
    stored_tensors(encoder)  # its files are what they say
    try:
        model, info = load_pretrained(kind, encoder)
    except UNLOADABLE as error:
        raise CheckpointError(f"{encoder}: not a usable encoder ({first_line(error)})") from None
    if values is None:
        raise CheckpointError(f"{encoder}: no preprocessor_config.json, so its sample rate is unknown")
    missing = sorted(key for key in info["missing_keys"] if not key.endswith(MISSING_IS_FINE))
    if missing:
        raise CheckpointError(f"{encoder}: {len(missing)} tensors are missing, first {missing[0]}")
    return model.eval(), int(values["sampling_rate"]), bool(values.get("do_normalize", True))


def _fairseq_weights(model: Encoder) -> dict[str, Tensor]:
    """Weights under fairseq's names; the projection that fairseq leaves out between equal widths is left out."""
    weights = to_fairseq(model)
    if model.config.conv_dim[-1] == model.config.hidden_size:
        weight, bias = weights.pop("post_extract_proj.weight"), weights.pop("post_extract_proj.bias")
        if not torch.equal(weight, torch.eye(len(weight))) or bias.any():
            raise CheckpointError(
                "feature_projection.projection is no identity, and fairseq has no projection between equal widths"
            )
    return weights


def _complete(
    weights: dict[str, Tensor], settings: dict[str, Any], task: dict[str, Any], source: str
) -> tuple[dict[str, Tensor], list[str]]:
    """All weights of fairseq's model, and the names of those that are new and random (seed 0)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        empty = FairseqCheckpoint(Path(source), "", {}, settings, task, 0)
        complete = {name: tensor.clone() for name, tensor in build_fairseq_model(empty).state_dict().items()}
    new = sorted(set(complete) - set(weights))
    wrong = sorted(set(weights) - set(complete)) + [name for name in new if not name.startswith(_HEADS)]
    if wrong:
        raise CheckpointError(f"{source}: {len(wrong)} tensors have no counterpart in fairseq, first {wrong[0]}")
    return complete | weights, new


def _checkpoint_content(checkpoint: FairseqCheckpoint) -> dict[str, Any]:
    """What fairseq's trainer saves, as far as ``checkpoint.finetune_from_model`` reads it; plain containers only."""
    history = {
        "criterion_name": "Wav2vecCriterion",
        "optimizer_name": "FairseqAdam",
        "lr_scheduler_state": {},
        "num_updates": 0,
    }
    iterator = {"version": 2, "epoch": 1, "iterations_in_epoch": 0, "shuffle": True, "len": 1}
    return {
        "args": None,
        "cfg": {"_name": None, "model": checkpoint.model, "task": checkpoint.task},
        "model": checkpoint.weights,
        "criterion": None,
        "optimizer_history": [history],
        "task_state": {},
        "extra_state": {"train_iterator": iterator, "val_loss": None, "previous_training_time": 0},
        "last_optimizer_state": None,
    }


def _config(settings: Mapping[str, Any], task: Mapping[str, Any], checkpoint: Path) -> Any:  # noqa: ANN401 - OmegaConf
    """A complete pretraining config for the checkpoint: the shipped one with this network, rate and start."""
    config = OmegaConf.load(config_root() / "pretrain" / f"{TEMPLATES[settings['_name']]}.yaml")
    scale = task["sample_rate"] / config.task.sample_rate
    for key in ("max_sample_size", "min_sample_size"):
        config.task[key] = round(config.task[key] * scale)
    config.dataset.max_tokens = round(config.dataset.max_tokens * scale)
    config.task.update({"sample_rate": task["sample_rate"], "normalize": task["normalize"]})
    config.model.update(settings)
    config.checkpoint.finetune_from_model = str(checkpoint)
    config.checkpoint.save_dir = "runs/pretrain/continued"
    return config


@torch.no_grad()
def _compare_rates(
    old: Encoder, new: Encoder, old_hz: int, new_hz: int, normalize: bool, audio: Sequence[Path]
) -> dict[str, Any]:
    """How far the same sound gives other features at the new rate: RMS of the difference over RMS of the features.

    ``shared_band`` is sound that both rates carry; ``full_band`` has what only the higher one carries, too.
    """
    top_hz, low_hz = max(old_hz, new_hz), min(old_hz, new_hz)
    differences: dict[str, list[float]] = {"shared_band": [], "full_band": []}
    for waveform in proof_waveforms(top_hz, audio, least_samples=top_hz // 2).values():
        shared = soxr.resample(soxr.resample(waveform, top_hz, low_hz), low_hz, top_hz)
        for name, sound in (("shared_band", shared), ("full_band", waveform)):
            theirs = _features(old, soxr.resample(sound, top_hz, old_hz), normalize)
            ours = _features(new, soxr.resample(sound, top_hz, new_hz), normalize)
            frames = min(ours.shape[1], theirs.shape[1])
            difference = (ours[:, :frames] - theirs[:, :frames]).square().mean().sqrt()
            differences[name].append(float(difference / theirs.square().mean().sqrt()))
    facts = {"old_hz": old_hz, "new_hz": new_hz, "front_end": describe_front_end(new)}
    return facts | {name: max(values) for name, values in differences.items()}


def _features(model: Encoder, waveform: np.ndarray, normalize: bool) -> Tensor:
    source = torch.from_numpy(waveform)[None]
    if normalize:
        source = torch.nn.functional.layer_norm(source, source.shape[1:], eps=NORMALIZE_EPS)
    features: Tensor = getattr(model, "wav2vec2", model)(source).extract_features
    return features
