"""Export a model to ONNX: any number of windows of any length in, embedding, clip and frame logits out.

The file stands alone: what a program must know to use it (sample rate, frames, windows, species) is in its metadata.
"""

import io
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rfcx_ssl.errors import CheckpointError, first_line, require_extra
from rfcx_ssl.models.modeling import RainforestSedModel

INPUT = "waveform"
OUTPUTS = ("embedding", "logits", "frame_logits")  # (B, D), (B, K), (B, T, K)
ACTIVITY = "activity_logits"  # (B, T), only of a model with an activity head
METADATA_KEY = "rfcx_ssl"  # of a JSON object, see ``facts``
METADATA_FORMAT = 1
LARGEST_BYTES = 2**31 - 1  # of one protobuf file; beyond it weights would lie in files beside


class PlainOutputs(nn.Module):
    """The model with a tuple as output: :data:`OUTPUTS`, and :data:`ACTIVITY` where there is such a head."""

    def __init__(self, model: RainforestSedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveform: Tensor) -> tuple[Tensor, ...]:
        """(B, N) -> (B, D), (B, K), (B, T, K) and perhaps (B, T)."""
        out = self.model(waveform)
        activity = () if out.activity_logits is None else (out.activity_logits,)
        return (out.embedding, out.clip_logits, out.frame_logits, *activity)


def output_names(model: RainforestSedModel) -> tuple[str, ...]:
    """Names of what :class:`PlainOutputs` gives."""
    return OUTPUTS if model.head.activity is None else (*OUTPUTS, ACTIVITY)


def facts(model: RainforestSedModel) -> dict[str, Any]:
    """What must be known to use the model without its config; written as JSON under :data:`METADATA_KEY`."""
    config = model.config
    return {
        "format": METADATA_FORMAT,
        "sample_rate_hz": model.grid.sample_rate_hz,
        "hop_samples": model.grid.hop_samples,
        "window_samples": config.window_samples,
        "windows": config.windows,
        "train_prevalence": config.train_prevalence,
        "scaled_prevalence": config.scaled_prevalence,
        "embedding_dim": model.embedding_dim,
        "species": config.species,
        "output_names": config.output_names,
        "output_species": config.output_species,
        "output_songtype": config.output_songtype,
    }


def export_onnx(model: RainforestSedModel, path: Path, num_samples: int) -> None:
    """Write ``path``: input ``waveform`` (batch, samples), outputs as :func:`output_names`; any batch, any length.

    Of a model that torch cannot export for any length (one with ``temporal.kind=gru``) the length is ``num_samples``,
    that of its windows; the metadata then says so under ``fixed_samples``. The exporter's own rewriting is left out: it
    takes 1e-8 for 0 (onnxscript 0.7), which is what keeps the logarithm of silence finite; ONNX Runtime optimizes when
    it loads. No path of this machine is written. The model must be in evaluation mode.

    Raises:
        CheckpointError: the exporter cannot follow the model, or the file would be larger than ONNX allows.
    """
    onnx = require_extra("onnx", "onnx")
    require_extra("onnxscript", "onnx")
    size = sum(tensor.nbytes for tensor in model.state_dict().values())
    if size > LARGEST_BYTES:
        raise CheckpointError(
            f"{size / 1e9:.1f} GB of weights do not fit into one ONNX file, which holds 2 GB at most"
        )
    fixed_samples = None
    try:
        program = _export(model, num_samples, dynamic=True)
    except torch.onnx.errors.OnnxExporterError:
        fixed_samples = num_samples
        try:
            program = _export(model, num_samples, dynamic=False)
        except torch.onnx.errors.OnnxExporterError as error:
            raise CheckpointError(f"torch cannot export this model ({first_line(error)})") from None
    _name_outputs(program.model.graph, output_names(model))
    _forget_sources(program.model)
    program.save(str(path))
    add_metadata(path, onnx, facts(model) | {"fixed_samples": fixed_samples})


def _export(model: RainforestSedModel, num_samples: int, *, dynamic: bool) -> Any:  # noqa: ANN401 - an ONNXProgram
    """The program for any batch, of any length where ``dynamic``."""
    batch = {0: torch.export.Dim("batch", min=1, max=4096)}
    length = {1: torch.export.Dim.DYNAMIC} if dynamic else {}
    example = torch.zeros(2, num_samples, device=model.device)
    with _quiet():
        return torch.onnx.export(
            PlainOutputs(model).eval(),
            (example,),
            dynamo=True,
            dynamic_shapes={INPUT: batch | length},
            input_names=[INPUT],
            optimize=False,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter warns about its own internals, and prints whole graphs of an attempt that fails."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def add_metadata(path: Path, onnx: Any, values: Mapping[str, Any]) -> None:  # noqa: ANN401 - the package
    """Put ``values`` into the file's metadata, over what is there under the same keys."""
    proto = onnx.load(str(path), load_external_data=False)
    known = {entry.key: json.loads(entry.value) for entry in proto.metadata_props if entry.key == METADATA_KEY}
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps({**known.get(METADATA_KEY, {}), **values})})
    onnx.save(proto, str(path))


def _forget_sources(model: Any) -> None:  # noqa: ANN401 - onnx_ir's Model
    """Drop what the exporter notes beside every node: where in which file of this machine it comes from."""
    for graph in (model.graph, *model.functions.values()):
        for node in graph.all_nodes():
            node.metadata_props.clear()
            node.doc_string = None


def _name_outputs(graph: Any, names: tuple[str, ...]) -> None:  # noqa: ANN401 - onnx_ir's Graph
    """Name the graph's outputs; what the exporter called so inside (a layer named ``embedding``) gets another name."""
    for node in graph:
        for value in node.outputs:
            if value.name in names:
                value.name = f"inner_{value.name}"
    for value, name in zip(graph.outputs, names, strict=True):
        value.name = name
