"""Results as rows of an Arrow table, one per recording, and back: the form in which they lie in the journal's parts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rfcx_ssl.decoding.detections import make_detection
from rfcx_ssl.detection.result import Result
from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.species.table import SpeciesTable

_EVENT = pa.struct(
    [("start_s", pa.float64()), ("end_s", pa.float64()), ("species", pa.int32()), ("score", pa.float32())]
)
_COLUMNS = {
    "index": pa.int64(),
    "recording": pa.string(),
    "path": pa.string(),
    "start_s": pa.float64(),
    "heard_s": pa.float64(),
    "silent_s": pa.float64(),
    "sample_rate_hz": pa.int32(),
    "recorded_at": pa.string(),
    "problem": pa.string(),
    "unreachable": pa.bool_(),
    "warnings": pa.list_(pa.string()),
    "clip": pa.list_(pa.float32()),
    "events": pa.list_(_EVENT),
}
#: Of what was asked for, flattened.
_ARRAYS = {
    "frames": pa.float16(),
    "highest": pa.float32(),
    "windows_s": pa.float64(),
    "window_scores": pa.float32(),
    "embeddings": pa.float32(),
}
SCHEMA = pa.schema([*_COLUMNS.items(), *((name, pa.list_(kind)) for name, kind in _ARRAYS.items())])


def write_rows(results: Sequence[Result], path: Path) -> None:
    """Write a Parquet file of ``results``; equal results make equal bytes.

    What is not Unicode (the path of a file whose name is in another encoding) is written as an escape.
    """
    pq.write_table(pa.Table.from_pylist([_row(result) for result in results], schema=SCHEMA), path)


def join_rows(parts: Iterable[Path], path: Path) -> None:
    """One Parquet file of the rows of many, in their order, a row group for each.

    Raises:
        RunError: one of them is damaged.
    """
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for part in parts:
            with _damage(part):
                table = pq.read_table(part, schema=SCHEMA)
            writer.write_table(table)


def read_rows(path: Path, species: SpeciesTable) -> Iterator[Result]:
    """The results of a file of :func:`write_rows` or :func:`join_rows`, one row group in memory at a time.

    Raises:
        RunError: the file is damaged.
    """
    with _damage(path):
        file = pq.ParquetFile(path)
    with file:
        for group in range(file.num_row_groups):
            with _damage(path):
                table = file.read_row_group(group)
            arrays = {name: table.column(name).combine_chunks() for name in _ARRAYS}  # of numbers no Python objects
            for place, row in enumerate(table.select(list(_COLUMNS)).to_pylist()):
                here = {name: column[place] for name, column in arrays.items()}
                found = {name: cell.values for name, cell in here.items() if cell.is_valid}
                yield _result(row, species, _arrays(found, len(species)))


def unreachable_rows(path: Path) -> list[int]:
    """Places in the listing of the recordings of such a file that could not be reached.

    Raises:
        RunError: the file is damaged.
    """
    with _damage(path):
        rows = pq.read_table(path, columns=["index", "unreachable"]).to_pylist()
    return [row["index"] for row in rows if row["unreachable"]]


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise RunError(
            f"{path}: cannot be read ({first_line(error)}); where it is damaged, remove it, and the same command hears its "
            "recordings again"
        ) from None


def _row(result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {name: _unicode(getattr(result, name)) for name in _COLUMNS}
    row["events"] = [
        {"start_s": e.box.start_s, "end_s": e.box.end_s, "species": e.box.species_id, "score": e.score}
        for e in result.events
    ]
    return row | {name: np.asarray(values).reshape(-1) for name, values in result.arrays.items()}


def _unicode(value: Any) -> Any:  # noqa: ANN401 - a cell
    """Text, also in a tuple, with escapes for what is no Unicode; all else as it is."""
    if isinstance(value, tuple):
        return tuple(map(_unicode, value))
    return value.encode("utf-8", "backslashreplace").decode("utf-8") if isinstance(value, str) else value


def _result(row: dict[str, Any], species: SpeciesTable, arrays: dict[str, np.ndarray[Any, Any]]) -> Result:
    clip = row["clip"]
    return Result(
        index=row["index"],
        recording=row["recording"],
        path=row["path"],
        start_s=row["start_s"],
        heard_s=row["heard_s"],
        silent_s=row["silent_s"],
        sample_rate_hz=row["sample_rate_hz"],
        recorded_at=row["recorded_at"],
        problem=row["problem"],
        unreachable=row["unreachable"],
        warnings=tuple(row["warnings"]),
        clip=None if clip is None else np.array(clip, np.float32),
        events=[
            make_detection(row["recording"], species, e["species"], e["score"], e["start_s"], e["end_s"])
            for e in row["events"]
        ],
        arrays=arrays,
    )


def _arrays(flat: dict[str, Any], num_species: int) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that are there, in their shapes."""
    arrays = {name: np.array(values.to_numpy(zero_copy_only=False)) for name, values in flat.items()}
    num_windows = len(arrays.get("windows_s", ()))
    of_species = dict.fromkeys(("frames", "highest", "window_scores"), (-1, num_species))
    shapes = of_species | {"embeddings": (num_windows, -1)}
    return {name: values.reshape(shapes.get(name, (-1,))) for name, values in arrays.items()}
