"""Export a model to TorchScript: any number of windows of one length, for programs without Python."""

import json
import warnings
from pathlib import Path

import torch

from rfcx_ssl.models.export_onnx import METADATA_KEY, PlainOutputs, facts, output_names
from rfcx_ssl.models.modeling import RainforestSedModel


def export_torchscript(model: RainforestSedModel, path: Path, num_samples: int) -> None:
    """Write ``path``: (batch, num_samples) in, a tuple out, in the order of ``outputs`` in the extra file ``rfcx_ssl``.

    The length is fixed, as tracing writes down the numbers of frames that it meets; the extra file holds what the ONNX
    file has in its metadata, and ``num_samples``. The model must be in evaluation mode.
    """
    example = 0.1 * torch.randn(2, num_samples, generator=torch.Generator().manual_seed(0)).to(model.device)
    with torch.inference_mode(False), torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of every number that becomes a constant: the length is one on purpose
        traced = torch.jit.trace(PlainOutputs(model).eval(), (example,))  # type: ignore[no-untyped-call]
    told = facts(model) | {"num_samples": num_samples, "outputs": output_names(model)}
    torch.jit.save(traced, str(path), _extra_files={METADATA_KEY: json.dumps(told)})
