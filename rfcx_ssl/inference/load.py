"""Load a trained model for use, refusing what would silently give nonsense."""

import os
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from safetensors import SafetensorError
from torch import Tensor
from transformers.utils import logging as hf_logging

from rfcx_ssl.errors import CheckpointError, ConfigError, RfcxError, first_line
from rfcx_ssl.hub_id import hub_complaint, split_revision
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.models.backbone_rules import ATTENTION_KEYS, RULES
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.models.encoder_directory import UNLOADABLE
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.rules import check_values
from rfcx_ssl.models.stored import check_tensors, read_config, stored_tensors

MODEL_FILES = ["*.json", "*.safetensors", "*.onnx"]  # all that is ever fetched: nothing in them runs code


def load_model(source: str, device: str = "cpu") -> RainforestSedModel:
    """The model of a directory (``RUN/model``) or hub id (``id`` or ``id@revision``), in evaluation mode on ``device``.

    Weights are read from safetensors only.

    Raises:
        CheckpointError: there is no such model, its weights do not fit its config, or they are not finite.
    """
    folder = model_folder(source)
    check_files(folder, source)
    hf_logging.disable_progress_bar()
    try:
        loaded: Any = RainforestSedModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
        )
    except (*UNLOADABLE, SafetensorError) as error:
        raise CheckpointError(f"model {source}: cannot be loaded ({first_line(error)})") from None
    model, info = loaded
    wrong = sorted(map(str, [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]))
    if wrong:
        raise CheckpointError(f"model {source}: {len(wrong)} tensors do not fit its config, first {wrong[0]}")
    broken = [name for name, tensor in model.state_dict().items() if not is_finite(tensor)]
    if broken:
        raise CheckpointError(f"model {source}: {len(broken)} tensors are not finite, first {broken[0]}")
    try:
        windows_in_force(model)
    except ConfigError as error:
        raise CheckpointError(f"model {source}: {error}") from None
    ready: RainforestSedModel = model.eval().requires_grad_(False).to(pick_device(device))
    return ready


def check_files(folder: Path, source: str) -> None:
    """Hold config.json against its schema, and the headers of the weights against the model that it describes.

    Nothing is allocated, so that a config of any size is only a line. Code beside the model is never run: the classes are
    ours.

    Raises:
        CheckpointError: naming ``source`` and what is wrong.
    """
    try:
        values = read_config(str(folder))
        if values.get("model_type") != RainforestSedConfig.model_type:
            raise CheckpointError(
                f"config.json: model_type {values.get('model_type')!r}, need {RainforestSedConfig.model_type!r}"
            )
        check_values(values, {key: RULES[key] for key in ATTENTION_KEYS}, "config.json")
        with torch.device("meta"):
            skeleton = RainforestSedModel(RainforestSedConfig.from_dict(values))
        stored = stored_tensors(str(folder))
        if stored is None:
            raise CheckpointError("it has no model.safetensors")
        check_tensors(stored, skeleton.state_dict(), "its weights")
    except UNLOADABLE as error:
        raise CheckpointError(f"model {source}: cannot be loaded ({first_line(error)})") from None
    except RfcxError as error:
        reason = str(error).removeprefix(f"{folder}: ")
        raise CheckpointError(f"model {source}: cannot be loaded ({reason})") from None


def model_folder(source: str) -> Path:
    """The local place of a model: ``source`` itself (a folder, or an ONNX file), or the snapshot of a hub id (``USER/NAME`` or ``USER/NAME@REVISION``).

    Raises:
        CheckpointError: it is neither a folder nor on the hub.
    """
    if Path(source).exists():
        return Path(source)
    name, revision = split_revision(source)
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=MODEL_FILES))
    except HFValidationError:
        raise CheckpointError(
            f"model {source}: cannot be loaded (no such file or folder, and no id of the hub)"
        ) from None
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise CheckpointError(f"model {source}: cannot be loaded ({hub_complaint(error, source)})") from None


def is_finite(tensor: Tensor) -> bool:
    """Whether no number of a tensor is infinite or NaN."""
    return bool(torch.isfinite(tensor).all())


def pick_device(device: str) -> torch.device:
    """``auto`` is a CUDA GPU where there is one, else the CPU; anything else is a torch device name.

    Under ``accelerate launch`` every process has a GPU of its own, of the number that ``LOCAL_RANK`` says.

    Raises:
        CheckpointError: the device does not exist here.
    """
    if device == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise CheckpointError(f"device {device!r} is none that torch knows; use auto, cpu, cuda or cuda:N") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError(f"device {device!r}: torch sees no CUDA GPU here; use cpu or auto")
    if chosen.type == "cuda" and (chosen.index or 0) >= torch.cuda.device_count():
        raise CheckpointError(
            f"device {device!r}: there are {torch.cuda.device_count()} CUDA GPUs here, from cuda:0 on"
        )
    return chosen
