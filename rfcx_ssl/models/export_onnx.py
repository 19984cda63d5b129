"""Export a model to ONNX: any number of clips of one window length, frame and clip logits out."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import require_extra
from rfcx_ssl.files import atomic_path
from rfcx_ssl.models.modeling import RainforestSedModel

INPUT = "waveform"
OUTPUTS = ("frame_logits", "clip_logits")


class LogitsOnly(nn.Module):
    """The model with a plain tuple as output."""

    def __init__(self, model: RainforestSedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) -> (B, T, K) and (B, K)."""
        output = self.model(waveform)
        return output.frame_logits, output.clip_logits


def export_onnx(model: RainforestSedModel, path: Path, num_samples: int | None = None) -> None:
    """Write ``path`` with one input ``waveform`` (batch, num_samples) and outputs ``frame_logits``, ``clip_logits``.

    The batch is dynamic, the length fixed (the model's own window by default). The model must be in evaluation mode.
    """
    require_extra("onnx", "onnx")
    require_extra("onnxscript", "onnx")
    example = torch.zeros(2, num_samples or model.config.window_samples, device=model.device)
    batch = torch.export.Dim("batch", min=1, max=4096)
    with warnings.catch_warnings():  # the exporter warns about its own internals
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            LogitsOnly(model).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={INPUT: {0: batch}},
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            verbose=False,
        )
    assert program is not None
    with atomic_path(path) as temporary:
        program.save(str(temporary))
