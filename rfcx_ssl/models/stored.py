"""What the files of a saved model hold, read before anything of it is built: JSON, and the headers of safetensors."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from transformers.utils.hub import cached_file

from rfcx_ssl.errors import CheckpointError, first_line
from rfcx_ssl.hub_id import hub_complaint, split_revision

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
MOST_JSON_BYTES = 2**26
#: Types of a weight that is float32 here: those that hold the number itself.
FLOATS = ("F16", "BF16", "F32", "F64")
_BYTES = dict(BOOL=1, U8=1, I8=1, U16=2, I16=2, U32=4, I32=4, U64=8, I64=8, F16=2, BF16=2, F32=4, F64=8)


class Stored(NamedTuple):
    """Type and shape of a tensor in a file."""

    dtype: str  # as safetensors calls it: F32, I64 ...
    shape: tuple[int, ...]


def stored_file(source: str, name: str) -> Path | None:
    """The file ``name`` of a directory, or of a hub id (``id`` or ``id@revision``); None where it has none.

    Raises:
        CheckpointError: the hub cannot be asked, or has no such repository.
    """
    if Path(source).is_dir():
        path = Path(source) / name
        return path if path.is_file() else None
    repo, revision = split_revision(source)
    try:
        found = cached_file(repo, name, revision=revision, _raise_exceptions_for_missing_entries=False)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{source}: no usable {name} ({hub_complaint(error, source)})") from None
    return None if found is None else Path(found)


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object; :class:`CheckpointError` names the file where it is anything else."""
    try:
        if path.stat().st_size > MOST_JSON_BYTES:
            raise ValueError(f"{path.stat().st_size} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not a readable JSON file ({first_line(error)})") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path}: must be a JSON object, is a {type(values).__name__}")
    return values


def read_config(source: str) -> dict[str, Any]:
    """config.json of a directory or hub id.

    Raises:
        CheckpointError: there is none, or it is no JSON object.
    """
    path = stored_file(source, CONFIG)
    if path is None:
        raise CheckpointError(f"{source}: no usable config.json (none found)")
    return read_object(path)


def stored_tensors(source: str) -> dict[str, Stored] | None:
    """Type and shape by name of all tensors of a directory or hub id; None where it has no safetensors.

    Raises:
        CheckpointError: a file is not what its header says, or an index names files outside of the folder.
    """
    files = _shards(source)
    if files is None:
        return None
    found: dict[str, Stored] = {}
    for path in files:
        try:
            found |= _read_header(path)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CheckpointError(f"{path}: not a readable safetensors file ({first_line(error)})") from None
    return found


def check_tensors(stored: Mapping[str, Stored], wanted: Mapping[str, Tensor], source: str) -> None:
    """Refuse what is not, name by name and shape by shape, what a model wants.

    Raises:
        CheckpointError: a tensor is missing, one too many, of another shape or of a type that holds other numbers.
    """
    wrong = [f"{name} is missing" for name in sorted(set(wanted) - set(stored))]
    wrong += [f"{name} is one too many" for name in sorted(set(stored) - set(wanted))]
    for name in sorted(set(stored) & set(wanted)):
        if stored[name].shape != tuple(wanted[name].shape):
            wrong.append(f"{name} has shape {stored[name].shape}, need {tuple(wanted[name].shape)}")
        elif wanted[name].is_floating_point() != (stored[name].dtype in FLOATS):
            wrong.append(f"{name} has type {stored[name].dtype}")
    if wrong:
        raise CheckpointError(f"{source}: {len(wrong)} tensors do not fit its config, first: {wrong[0]}")


def _read_header(path: Path) -> dict[str, Stored]:
    """Tensors of a safetensors file; ``ValueError`` (or ``TypeError`` ...) where its header and its size do not agree.

    (The format: 8 bytes with the header's length, a JSON object, then the tensors without gaps.)
    """
    with path.open("rb") as file:
        file_bytes = path.stat().st_size
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(file_bytes - 8, MOST_JSON_BYTES):
            raise ValueError(f"a header of {length} bytes in a file of {file_bytes}")
        entries = json.loads(file.read(length), object_pairs_hook=_once)
    entries.pop("__metadata__", None)
    reached = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1]["data_offsets"]):
        start, end = entry["data_offsets"]
        size = math.prod(entry["shape"]) * _BYTES[entry["dtype"]]
        if (
            start != reached
            or end - start != size
            or any(type(side) is not int or side < 0 for side in entry["shape"])
        ):
            raise ValueError(f"{name[:80]}: {str(entry)[:200]} is not what the file holds")
        reached = end
    if reached != file_bytes - 8 - length:
        raise ValueError(f"{reached} bytes of tensors in {file_bytes - 8 - length}")
    return {name: Stored(entry["dtype"], tuple(entry["shape"])) for name, entry in entries.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name is there twice")
    return values


def _shards(source: str) -> list[Path] | None:
    index = stored_file(source, INDEX)
    if index is None:
        whole = stored_file(source, WEIGHTS)
        return None if whole is None else [whole]
    places = read_object(index).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise CheckpointError(f"{index}: has no weight_map")
    shards = []
    for name in sorted({str(place) for place in places.values()}):
        shard = stored_file(source, name) if Path(name).name == name and name not in (".", "..") else None
        if shard is None:
            raise CheckpointError(f"{index}: weight_map names {name[:80]!r}, which is no file beside it")
        shards.append(shard)
    return shards
