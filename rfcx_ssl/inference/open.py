"""Open a model for scoring: where it runs, by what, how exactly. The one place that knows all backends."""

from pathlib import Path

import torch
from huggingface_hub import hf_hub_download

from rfcx_ssl.errors import CheckpointError, ConfigError, first_line
from rfcx_ssl.hub_id import hub_complaint, split_revision
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.onnx_scorer import OnnxScorer
from rfcx_ssl.inference.scorer import Scorer, TorchScorer
from rfcx_ssl.inference.settings import Backend, Precision, WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED

ONNX_NAME = "model.onnx"


def open_scorer(
    source: str,
    *,
    backend: Backend = "torch",
    device: str = "auto",
    precision: Precision = "auto",
    compile: bool = False,
    windows: WindowSettings = AS_VALIDATED,
    activity_gate: float | None = None,
) -> Scorer:
    """A scorer of a trained model.

    Args:
        source: a directory (``RUN/model``), a hub id or ``id@revision``; for ``backend="onnx"`` also an ONNX file.
        backend: torch, or ONNX Runtime on the ``model.onnx`` of the source.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        precision: of matrix products and convolutions, the rest is float32; see :func:`autocast_type`.
        compile: run the network through ``torch.compile``, which takes a minute before the first score.
        windows: as the model was validated by default.
        activity_gate: frames with a lower probability of activity score 0.

    Raises:
        CheckpointError: the model or the device cannot be used.
        ConfigError: the settings do not go together.
    """
    if backend == "onnx":
        if compile or precision not in ("auto", "fp32"):
            wrong = "compile=true" if compile else f"precision={precision}"
            raise ConfigError(f"{wrong}: backend=onnx runs its graph as it is, in float32; use backend=torch")
        return OnnxScorer(onnx_path(source), source, windows, device=device, activity_gate=activity_gate)
    model = load_model(source, device)
    autocast = autocast_type(precision, model.device)
    quick = model.device.type == "cpu" and autocast is None and not compile
    scorer = TorchScorer(
        model, source, windows, autocast=autocast, compile=compile, quick=quick, activity_gate=activity_gate
    )
    if compile:
        try:  # now, and not in the middle of the first recording
            scorer(torch.zeros(1, scorer.windows.on_grid(scorer.grid)[0]))
        except RuntimeError as error:
            raise ConfigError(f"compile=true: torch cannot compile {source} here ({first_line(error)})") from None
    return scorer


def autocast_type(precision: Precision, device: torch.device) -> torch.dtype | None:
    """The type of torch's autocast; None leaves float32 alone. ``auto`` is bf16 on GPUs that have it, else fp32.

    Raises:
        ConfigError: the device cannot compute so.
    """
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    if precision == "fp16":
        if device.type == "cpu":
            raise ConfigError("precision=fp16: CPUs are slower in it than in fp32; use auto, fp32 or bf16")
        return torch.float16
    if precision == "bf16":
        if device.type == "cuda" and not has_bf16:
            raise ConfigError("precision=bf16: this GPU computes it by emulation only; use fp16 or fp32")
        return torch.bfloat16
    return torch.bfloat16 if precision == "auto" and has_bf16 else None


def onnx_path(source: str) -> Path:
    """The ONNX file of a source: itself, ``model.onnx`` in a folder, or that of a hub repository.

    Raises:
        CheckpointError: there is none.
    """
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        if (path / ONNX_NAME).is_file():
            return path / ONNX_NAME
        raise CheckpointError(f"{path}: has no {ONNX_NAME}; rfcx-ssl export {path} --format onnx --out DIR makes one")
    name, revision = split_revision(source)
    try:
        return Path(hf_hub_download(name, ONNX_NAME, revision=revision))
    except (OSError, ValueError) as error:  # the hub's errors are of these kinds
        raise CheckpointError(f"model {source}: no {ONNX_NAME} to be had ({hub_complaint(error, source)})") from None
