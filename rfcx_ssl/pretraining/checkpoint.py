"""Read a fairseq wav2vec 2.0 checkpoint without fairseq and without running anything stored in it.

Checkpoints of fairseq 0.12 hold plain containers and tensors. Older ones also carry their settings as
``argparse.Namespace``, OmegaConf nodes or fairseq enums; those names alone are let in, as inert records
(:mod:`rfcx_ssl.models.inert`): neither fairseq nor OmegaConf code runs.
"""

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.inert import NUMPY_PATTERN, Record, load_inert
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig
from rfcx_ssl.provenance import file_sha256

_OMEGACONF_NODES = ("AnyNode", "StringNode", "IntegerNode", "FloatNode", "BooleanNode", "EnumNode", "BytesNode")
_INERT_NAMES = (
    "argparse.Namespace",
    "omegaconf.dictconfig.DictConfig",
    "omegaconf.listconfig.ListConfig",
    "omegaconf.base.ContainerMetadata",
    "omegaconf.base.Metadata",
    *(f"omegaconf.nodes.{node}" for node in _OMEGACONF_NODES),
    "typing.Any",
    "collections.defaultdict",
    "builtins.dict",
    "builtins.list",
    "builtins.int",
    "builtins.float",
    "builtins.str",
    "builtins.bool",
)
_INERT_PATTERN = rf"fairseq\.(dataclass|data|tasks|models)\.[\w.]+|{NUMPY_PATTERN}"


@dataclass(frozen=True, slots=True)
class FairseqCheckpoint:
    """What a conversion needs from a checkpoint.

    Attributes:
        path: the file that was read.
        sha256: its hash, hexadecimal.
        weights: parameter name to tensor, float32, as fairseq names them.
        model: the settings of the model (``conv_feature_layers``, ``encoder_layers``, ...), plain values.
        task: the settings of the task (``sample_rate``, ``normalize``, ...), plain values.
        num_updates: optimizer updates the weights have seen.
    """

    path: Path
    sha256: str
    weights: dict[str, Tensor]
    model: dict[str, Any]
    task: dict[str, Any]
    num_updates: int


def load_fairseq_checkpoint(path: Path) -> FairseqCheckpoint:
    """Read a wav2vec 2.0 pretraining checkpoint safely.

    Raises:
        CheckpointError: the file is missing, unreadable, asks for a foreign class, or holds another model.
    """
    state = load_inert(path, str(path), _INERT_NAMES, _INERT_PATTERN)
    if not isinstance(state, dict) or not isinstance(state.get("model"), dict):
        raise CheckpointError(f"{path}: no 'model' entry; a checkpoint written by fairseq is needed")
    model, task = _settings(state)
    name = model.get("_name") or model.get("arch") or "unknown"
    frames = "mel_extractor" if name == Wav2Vec2MelConfig.model_type else "conv_feature_layers"
    if not str(name).startswith("wav2vec2") or frames not in model:
        raise CheckpointError(f"{path}: model._name={name!r}; only wav2vec2 pretraining checkpoints can be converted")
    weights = {key: value.float() for key, value in state["model"].items() if isinstance(value, Tensor)}
    history = state.get("optimizer_history") or [{}]
    num_updates = history[-1].get("num_updates", 0) if isinstance(history[-1], dict) else 0
    return FairseqCheckpoint(path, file_sha256(path), weights, model, task, int(num_updates or 0))


def parse_conv_layers(spec: str) -> list[tuple[int, int, int]]:
    """Layers ``(channels, kernel, stride)`` of a fairseq expression like ``[(512, 10, 5)] + [(512, 3, 2)] * 4``.

    fairseq evaluates this text as Python; here only lists, tuples, whole numbers, ``+`` and ``*`` have a meaning.

    Raises:
        CheckpointError: the text is anything else.
    """
    try:
        layers = _fold(ast.parse(spec.strip(), mode="eval").body)
        checked = [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
    except (SyntaxError, TypeError, ValueError, RecursionError):
        raise CheckpointError(
            f"model.conv_feature_layers={spec!r}: need a list of (channels, kernel, stride)"
        ) from None
    if not checked or len(checked) > 64 or min(min(layer) for layer in checked) < 1:
        raise CheckpointError(f"model.conv_feature_layers={spec!r}: need 1 to 64 layers of positive numbers")
    return checked


def _fold(node: ast.expr) -> Any:  # noqa: ANN401 - a list, a tuple or an int
    """Value of a literal expression made of lists, tuples, ints, ``+`` and ``*``."""
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 1 << 20:
        return node.value
    if isinstance(node, ast.List):
        return [_fold(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_fold(item) for item in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _fold(node.left) + _fold(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = _fold(node.left), _fold(node.right)
        if all(not isinstance(value, int) or value <= 64 for value in (left, right)):
            return left * right
    raise ValueError(ast.dump(node))


def _settings(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model and task settings: ``cfg`` of fairseq >= 0.11, else the flat ``args`` of older versions."""
    cfg = _plain(state.get("cfg"))
    if isinstance(cfg, dict) and isinstance(cfg.get("model"), dict):
        return cfg["model"], cfg.get("task") or {}
    args = _plain(state.get("args"))
    flat = args if isinstance(args, dict) else {}
    return flat, flat


def _plain(value: Any) -> Any:  # noqa: ANN401
    """A stored value as dicts, lists and scalars: an enum becomes its value, an OmegaConf node its content."""
    if isinstance(value, Record):
        state = value.state if isinstance(value.state, dict) else {}
        for key in ("_content", "_val"):
            if key in state:
                return _plain(state[key])
        return _plain(state or value.items or (value.args[0] if len(value.args) == 1 else None))
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
