"""Score windows with ONNX Runtime: a file that ``rfcx-ssl export --format onnx`` wrote, without torch's networks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rfcx_ssl.errors import AudioError, CheckpointError, first_line, require_extra
from rfcx_ssl.inference.load import pick_device
from rfcx_ssl.inference.onnx_file import check_ends, read_facts, refuse_external_data
from rfcx_ssl.inference.scorer import WindowScores, check_activity_gate, window_scores
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import AS_VALIDATED
from rfcx_ssl.models.export_onnx import ACTIVITY, INPUT, OUTPUTS
from rfcx_ssl.models.outputs import SedOutput

CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
ERRORS_ONLY = 3  # of onnxruntime's severities: what it could not fold into a constant is nobody's concern


class OnnxScorer:
    """An ONNX model of ours on the CPU or a CUDA GPU; equal scores to torch in float32, to rounding.

    Short windows are given to the graph as they are: padding would change their scores. A graph for one length of window,
    or a window below the shortest that the export found equal, is an error.
    """

    def __init__(
        self,
        path: Path,
        name: str,
        windows: WindowSettings = AS_VALIDATED,
        *,
        device: str = "auto",
        activity_gate: float | None = None,
    ) -> None:
        refuse_external_data(path)
        self.path, self.name = path, name
        self._session, self.device = open_session(path, device)
        has_activity = check_ends(path, self._session)
        self.facts = read_facts(path, self._session.get_modelmeta().custom_metadata_map, windows)
        self.grid, self.windows = self.facts.grid, self.facts.windows
        self.species = self.facts.space.species
        self.embedding_dim = self.facts.embedding_dim
        self.train_prevalence = self.facts.train_prevalence
        self.scaled_prevalence = self.facts.scaled_prevalence
        if activity_gate is not None:
            check_activity_gate(activity_gate, name, has_activity)
        self._gate = activity_gate
        self._outputs = OUTPUTS if activity_gate is None else (*OUTPUTS, ACTIVITY)
        length, _ = self.windows.on_grid(self.grid)
        if self.facts.fixed_samples not in (None, length):
            raise CheckpointError(
                f"{path}: scores windows of {self.facts.fixed_samples / self.grid.sample_rate_hz:g} s only, not of "
                f"window_s={self.windows.window_s:g}; export it again from a model with such windows, or use backend=torch"
            )

    def __call__(self, waveform: Tensor) -> WindowScores:
        """Score waveforms (B, N).

        Raises:
            AudioError: the graph cannot score windows as short as these.
            CheckpointError: what it answers is not what its metadata says.
        """
        self._check_length(waveform.shape[1])
        samples = np.ascontiguousarray(waveform.numpy(), dtype=np.float32)
        answers = run_session(self._session, self.path, self._outputs, {INPUT: samples})
        embedding, clip, frame, *activity = map(torch.from_numpy, answers)
        batch, outputs = len(waveform), self.facts.space.num_outputs
        found = (tuple(embedding.shape), tuple(clip.shape), tuple(frame.shape))
        said = (
            (batch, self.embedding_dim),
            (batch, outputs),
            (batch, self.grid.num_frames(waveform.shape[1]), outputs),
        )
        if found != said:
            raise CheckpointError(f"{self.path}: answers {found}, but its metadata says {said}")
        output = SedOutput(frame, clip, activity[0] if activity else None, embedding)
        return window_scores(output, self.facts.space, self._gate)

    def _check_length(self, num_samples: int) -> None:
        fixed, shortest = self.facts.fixed_samples, self.facts.shortest_samples
        if num_samples < shortest or fixed not in (None, num_samples):
            need = f"at least {shortest}" if fixed is None else f"exactly {fixed}"
            raise AudioError(
                f"{num_samples} samples cannot be scored by {self.path}, which needs {need}; backend=torch scores them"
            )


def run_session(session: Any, path: Path, outputs: Sequence[str], inputs: Mapping[str, Any]) -> list[Any]:  # noqa: ANN401
    """The arrays of ``outputs`` from an onnxruntime session on the file ``path``.

    Raises:
        CheckpointError: the graph cannot run.
        torch.OutOfMemoryError: memory does not last.
    """
    try:
        return list(session.run(list(outputs), dict(inputs)))
    except Exception as error:  # noqa: BLE001 - onnxruntime's errors share no other base
        if "allocate memory" in str(error):
            raise torch.OutOfMemoryError(str(error)) from None
        raise CheckpointError(f"{path}: onnxruntime cannot run it ({first_line(error)})") from None


def open_session(path: Path, device: str) -> tuple[Any, torch.device]:
    """An onnxruntime session on ``device`` (``auto`` is a GPU where onnxruntime and this machine have one).

    Raises:
        CheckpointError: onnxruntime cannot use the file, or the device.
    """
    ort = require_extra("onnxruntime", "onnx")
    chosen = pick_device(device)
    if device == "auto" and CUDA not in ort.get_available_providers():
        chosen = torch.device("cpu")
    if chosen.type not in ("cpu", "cuda"):
        raise CheckpointError(f"device {device!r}: backend=onnx runs on cpu and cuda")
    if chosen.type == "cuda" and CUDA not in ort.get_available_providers():
        raise CheckpointError(f"device {device!r}: onnxruntime here has no CUDA; pip install onnxruntime-gpu")
    options = ort.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    providers: list[Any] = [CPU] if chosen.type == "cpu" else [(CUDA, {"device_id": chosen.index or 0}), CPU]
    try:
        session = ort.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # noqa: BLE001 - as above
        raise CheckpointError(f"{path}: onnxruntime cannot load it ({first_line(error)})") from None
    if session.get_providers()[0] != (CPU if chosen.type == "cpu" else CUDA):
        raise CheckpointError(f"device {device!r}: onnxruntime fell back to {session.get_providers()[0]}")
    return session, chosen
