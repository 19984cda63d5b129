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
from rfcx_ssl.pretraining.checkpoint_rules import check_settings, check_weights
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


_LONGEST_SPEC, _MOST_LAYERS, _LARGEST = 2000, 64, 2**13  # of a description of convolutions: what a layer has


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
    try:
        model, task = _settings(state)
    except RecursionError:
        raise CheckpointError(f"{path}: its settings are nested too deeply") from None
    check_settings(model, task, str(path))
    name = model.get("_name") or model.get("arch") or "unknown"
    frames = "mel_extractor" if name == Wav2Vec2MelConfig.model_type else "conv_feature_layers"
    if not str(name).startswith("wav2vec2") or frames not in model:
        raise CheckpointError(f"{path}: model._name={name!r}; only wav2vec2 pretraining checkpoints can be converted")
    weights = check_weights(state["model"], str(path))
    return FairseqCheckpoint(path, file_sha256(path), weights, model, task, _num_updates(state))


def parse_conv_layers(spec: str) -> list[tuple[int, int, int]]:
    """Layers ``(channels, kernel, stride)`` of a fairseq expression like ``[(512, 10, 5)] + [(512, 3, 2)] * 4``.

    fairseq evaluates this text as Python; here only lists, tuples, whole numbers, ``+`` and ``*`` have a meaning.

    Raises:
        CheckpointError: the text is anything else.
    """
    try:
        if len(spec) > _LONGEST_SPEC:
            raise ValueError(f"{len(spec)} characters")
        layers = _fold(ast.parse(spec.strip(), mode="eval").body)
        checked = [(int(channels), int(kernel), int(stride)) for channels, kernel, stride in layers]
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        raise CheckpointError(
            f"model.conv_feature_layers={spec!r:.200}: need a list of (channels, kernel, stride)"
        ) from None
    if not 0 < len(checked) <= _MOST_LAYERS or not all(
        0 < number <= _LARGEST for layer in checked for number in layer
    ):
        raise CheckpointError(
            f"model.conv_feature_layers={spec!r:.200}: need 1 to {_MOST_LAYERS} layers of numbers from 1 to {_LARGEST}"
        )
    return checked


def _fold(node: ast.expr) -> Any:  # noqa: ANN401 - a list, a tuple or an int
    """Value of a literal expression made of lists, tuples, ints, ``+`` and ``*``."""
    if isinstance(node, ast.Constant) and type(node.value) is int and abs(node.value) < 1 << 20:
        return node.value
    if isinstance(node, ast.List):
        return [_fold(item) for item in node.elts]
    if isinstance(node, ast.Tuple):
        return tuple(_fold(item) for item in node.elts)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mult):
        left, right = _fold(node.left), _fold(node.right)
        adds = isinstance(node.op, ast.Add)
        lengths = [len(value) if isinstance(value, list | tuple) else value for value in (left, right)]
        if (sum(lengths) if adds else lengths[0] * lengths[1]) <= _LARGEST:  # before it is made
            return left + right if adds else left * right
    raise ValueError(ast.dump(node))


def _settings(state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Model and task settings: ``cfg`` of fairseq >= 0.11, else the flat ``args`` of older versions."""
    cfg = _plain(state.get("cfg"))
    if isinstance(cfg, dict) and isinstance(cfg.get("model"), dict):
        return cfg["model"], cfg["task"] if isinstance(cfg.get("task"), dict) else {}
    args = _plain(state.get("args"))
    flat = args if isinstance(args, dict) else {}
    return flat, flat


def _num_updates(state: dict[str, Any]) -> int:
    """Updates that the last entry of the optimizer's history counts; 0 where there is none."""
    history = state.get("optimizer_history")
    last = history[-1] if isinstance(history, list) and history else None
    updates = last.get("num_updates") if isinstance(last, dict) else None
    return updates if isinstance(updates, int) else 0


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
