"""Load a trained model for use, refusing what would silently give nonsense."""

from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from transformers.utils import logging as hf_logging

from rfcx_ssl.errors import CheckpointError, ConfigError, first_line
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.models.modeling import RainforestSedModel

MODEL_FILES = ["*.json", "*.safetensors", "*.onnx"]


def load_model(source: str, device: str = "cpu") -> RainforestSedModel:
    """The model of a directory (``RUN/model``) or hub id, in evaluation mode on ``device``; safetensors only.

    Raises:
        CheckpointError: there is no such model, or its weights do not fit its config.
    """
    hf_logging.disable_progress_bar()
    try:
        loaded: Any = RainforestSedModel.from_pretrained(
            source, use_safetensors=True, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"model {source}: cannot be loaded ({first_line(error)})") from None
    model, info = loaded
    wrong = sorted(map(str, [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"]]))
    if wrong:
        raise CheckpointError(f"model {source}: {len(wrong)} tensors do not fit its config, first {wrong[0]}")
    try:
        windows_in_force(model)
    except ConfigError as error:
        raise CheckpointError(f"model {source}: {error}") from None
    ready: RainforestSedModel = model.eval().requires_grad_(False).to(pick_device(device))
    return ready


def model_folder(source: str) -> Path:
    """The local folder of a model: ``source`` itself, or the snapshot of a hub id (``USER/NAME`` or ``USER/NAME@REVISION``).

    Raises:
        CheckpointError: it is neither a folder nor on the hub.
    """
    if Path(source).is_dir():
        return Path(source)
    name, _, revision = source.partition("@")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=MODEL_FILES))
    except (HfHubHTTPError, HFValidationError, OSError, ValueError) as error:
        raise CheckpointError(f"model {source}: cannot be loaded ({first_line(error)})") from None


def pick_device(device: str) -> torch.device:
    """``auto`` is a CUDA GPU where there is one, else the CPU; anything else is a torch device name.

    Raises:
        CheckpointError: the device does not exist here.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise CheckpointError(f"device {device!r} is none that torch knows; use auto, cpu, cuda or cuda:N") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError(f"device {device!r}: torch sees no CUDA GPU here; use cpu or auto")
    return chosen
