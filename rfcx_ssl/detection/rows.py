"""Results as rows of an Arrow table, one per recording, and back: the form in which they lie in the journal's parts."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rfcx_ssl.decoding.detections import make_detection
from rfcx_ssl.detection.result import Result
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
    """Write a Parquet file of ``results``; equal results make equal bytes."""
    pq.write_table(pa.Table.from_pylist([_row(result) for result in results], schema=SCHEMA), path)


def join_rows(parts: Iterable[Path], path: Path) -> None:
    """One Parquet file of the rows of many, in their order, a row group for each."""
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part, schema=SCHEMA))


def read_rows(path: Path, species: SpeciesTable) -> Iterator[Result]:
    """The results of a file of :func:`write_rows` or :func:`join_rows`, one row group in memory at a time."""
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            for row in file.read_row_group(group).to_pylist():
                yield _result(row, species)


def _row(result: Result) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(result, name) for name in _COLUMNS}
    row["events"] = [
        {"start_s": e.box.start_s, "end_s": e.box.end_s, "species": e.box.species_id, "score": e.score}
        for e in result.events
    ]
    return row | {name: np.asarray(values).reshape(-1) for name, values in result.arrays.items()}


def _result(row: dict[str, Any], species: SpeciesTable) -> Result:
    clip = row["clip"]
    return Result(
        index=row["index"],
        recording=row["recording"],
        path=row["path"],
        start_s=row["start_s"],
        heard_s=row["heard_s"],
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
        arrays=_arrays(row, len(species)),
    )


def _arrays(row: dict[str, Any], num_species: int) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays that are there, in their shapes."""
    arrays = {
        name: np.array(row[name], kind.to_pandas_dtype()) for name, kind in _ARRAYS.items() if row[name] is not None
    }
    num_windows = len(arrays.get("windows_s", ()))
    of_species = dict.fromkeys(("frames", "highest", "window_scores"), (-1, num_species))
    shapes = of_species | {"embeddings": (num_windows, -1)}
    return {name: values.reshape(shapes.get(name, (-1,))) for name, values in arrays.items()}
