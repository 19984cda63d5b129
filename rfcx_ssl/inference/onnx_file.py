"""An ONNX file of ours, read as what it is: somebody's. Nothing in it is run but the graph, and nothing beside it read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import CheckpointError, ConfigError, first_line, require_extra
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.inference.windows import Windows, choose_windows
from rfcx_ssl.models.export_onnx import ACTIVITY, INPUT, METADATA_FORMAT, METADATA_KEY, OUTPUTS
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.species.table import SpeciesTable

RANKS = {"embedding": 2, "logits": 2, "frame_logits": 3, ACTIVITY: 2}


@dataclass(frozen=True)
class OnnxFacts:
    """What the metadata of a file says (``rfcx_ssl.models.export_onnx.facts``)."""

    grid: FrameGrid
    space: LabelSpace
    windows: Windows
    embedding_dim: int
    train_prevalence: NDArray[np.float64] | None  # (S,) NaN where unknown
    scaled_prevalence: str | None  # what its pseudo-labels were scaled to; files before December 2026 do not say
    fixed_samples: int | None  # the one length of window that the graph takes; None where any does
    shortest_samples: int  # shorter windows are not scored as torch scores them


def refuse_external_data(path: Path) -> None:
    """Weights must be in the file itself: a reference to another file could name any file of this machine.

    Raises:
        CheckpointError: the file is no ONNX model, or a tensor of it lies elsewhere.
    """
    onnx = require_extra("onnx", "onnx")
    decode_error = require_extra("google.protobuf.message", "onnx").DecodeError
    try:
        proto = onnx.load(str(path), load_external_data=False)
    except (OSError, ValueError, decode_error) as error:
        raise CheckpointError(f"{path}: not a readable ONNX file ({first_line(error)})") from None
    for tensor in _tensors(proto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise CheckpointError(f"{path}: tensor {tensor.name!r} lies outside of the file, which is refused")


def check_ends(path: Path, session: Any) -> bool:  # noqa: ANN401 - an onnxruntime session
    """Refuse a graph whose inputs and outputs are not ours; says whether it tells of activity."""
    inputs = [(node.name, node.type, len(node.shape)) for node in session.get_inputs()]
    if inputs != [(INPUT, "tensor(float)", 2)]:
        raise CheckpointError(f"{path}: needs one input {INPUT!r} (batch, samples) of floats, has {inputs}")
    outputs = {node.name: node for node in session.get_outputs()}
    for name in (*OUTPUTS, *({ACTIVITY} & set(outputs))):
        if name not in outputs:
            raise CheckpointError(f"{path}: no output {name!r}, only {', '.join(outputs)}")
        if outputs[name].type != "tensor(float)" or len(outputs[name].shape) != RANKS[name]:
            raise CheckpointError(f"{path}: output {name!r} must be {RANKS[name]}-dimensional floats")
    return ACTIVITY in outputs


def read_facts(path: Path, metadata: dict[str, str], wanted: WindowSettings) -> OnnxFacts:
    """The facts in the metadata of a file.

    Raises:
        CheckpointError: they are missing, or one of them is wrong.
    """
    where = f"{path}: metadata {METADATA_KEY}"
    if METADATA_KEY not in metadata:
        raise CheckpointError(f"{where}: missing; only files of rfcx-ssl export --format onnx can be used")
    try:
        values = json.loads(metadata[METADATA_KEY])
        if values["format"] != METADATA_FORMAT:
            raise CheckpointError(f"{where}: format {values['format']!r}, this version reads {METADATA_FORMAT}")
        grid = FrameGrid(_count(values, "sample_rate_hz"), _count(values, "hop_samples"))
        space = LabelSpace(
            SpeciesTable.from_rows(values["species"]),
            tuple(values["output_names"]),
            tuple(values["output_species"]),
            tuple(values["output_songtype"]),
        )
        own_s = _count(values, "window_samples") / grid.sample_rate_hz
        windows = choose_windows(wanted, values["windows"], own_s, "windows")
        fixed = None if values["fixed_samples"] is None else _count(values, "fixed_samples")
        prevalence = _prevalence(values["train_prevalence"], len(space.species))
        shortest = _count(values, "shortest_samples")
        dim, scaled = _count(values, "embedding_dim"), values.get("scaled_prevalence")
        if not isinstance(scaled, str | None):
            raise ValueError(f"scaled_prevalence={scaled!r} must be a text or null")
        return OnnxFacts(grid, space, windows, dim, prevalence, scaled, fixed, shortest)
    except KeyError as error:
        raise CheckpointError(f"{where}: {error.args[0]} is missing") from None
    except (TypeError, ValueError, AttributeError, ConfigError) as error:
        raise CheckpointError(f"{where}: {first_line(error)}") from None


def _count(values: dict[str, Any], key: str) -> int:
    """A whole number of at least 1."""
    value = values[key]
    if type(value) is not int or value < 1:
        raise ValueError(f"{key}={value!r} must be a whole number of at least 1")
    return value


def _prevalence(shares: Any, num_species: int) -> NDArray[np.float64] | None:  # noqa: ANN401 - JSON
    """(S,) shares of a model's training crops, None and NaN where they are not known."""
    if shares is None:
        return None
    found = np.array(shares, np.float64)
    if found.shape != (num_species,) or ((found < 0) | (found > 1)).any():
        raise ValueError(f"train_prevalence must be {num_species} shares in [0, 1]")
    return found


def _tensors(proto: Any) -> Iterator[Any]:  # noqa: ANN401 - protobuf messages
    """Every tensor of a model: of its graph, of graphs in its nodes, and of its functions."""
    nodes = [node for function in proto.functions for node in function.node]
    graphs = [proto.graph]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            nodes += graph.node
            yield from graph.initializer
            for sparse in graph.sparse_initializer:
                yield from (sparse.values, sparse.indices)
        else:
            for attribute in nodes.pop().attribute:
                graphs += [attribute.g, *attribute.graphs]
                sparse_ones = [attribute.sparse_tensor, *attribute.sparse_tensors]
                yield from (attribute.t, *attribute.tensors)
                for sparse in sparse_ones:
                    yield from (sparse.values, sparse.indices)
