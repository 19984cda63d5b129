"""Probabilities of every frame in half precision, as Parquet or as Zarr; and how to read them back.

``frames.parquet`` has one row per recording:

======================  ======================================================================
column                  holds
======================  ======================================================================
``recording``           its name
``frame_s``             seconds per frame
``start_s``             where the first frame starts, in seconds from the start of the file
``frames``, ``species``  T and S
``scores``              T * S values of float16, the species of a frame next to each other
======================  ======================================================================

The names of the S species are in the file's metadata, as a JSON list under the key ``species``.

``frames.zarr`` is a group of format 3: ``scores`` (F, S) float16, the frames of all recordings one after the other, and
``recording``, ``start_s`` and ``frames`` (R,), of which the running sum of ``frames`` says where each recording begins. Its
attributes are ``frame_s`` and ``species``.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import ParquetTable, Writer
from rfcx_ssl.errors import require_extra
from rfcx_ssl.files import atomic_folder

CHUNK_BYTES = 1 << 20  # of scores: what a reader unpacks at least
SHARD_CHUNKS = 32  # in one file: what is in memory while it is written
CHUNK_ROWS = 1 << 16  # of the arrays with a value per recording
COLUMNS = ("recording", "frame_s", "start_s", "frames", "species", "scores")


class FrameParquet(ParquetTable):
    """frames.parquet."""

    def __init__(self, path: Path, species_names: Sequence[str], frame_s: float) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.int64(), pa.int32(), pa.list_(pa.float16()))
        names = json.dumps(list(species_names)).encode()
        super().__init__(path, pa.schema(list(zip(COLUMNS, kinds, strict=True)), metadata={"species": names}))
        self._frame_s = frame_s

    def add(self, result: Result) -> None:
        """Append the recording's row."""
        scores = result.arrays.get("frames")
        if scores is not None:
            values = np.ascontiguousarray(scores, dtype=np.float16).ravel()
            self.write((result.recording, self._frame_s, result.start_s, *scores.shape, values), values.nbytes)


class FrameZarr(Writer):
    """frames.zarr; equal results in the same order make equal bytes.

    Raises:
        MissingExtraError: zarr is not installed.
    """

    def __init__(self, path: Path, species_names: Sequence[str], frame_s: float) -> None:
        self._zarr = require_extra("zarr", "zarr")
        self.path = path
        self._species, self._frame_s = list(species_names), frame_s
        self._stack = ExitStack()

    @property
    def is_there(self) -> bool:
        """Whether the folder is there."""
        return self.path.is_dir()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        size = len(self._species)
        chunk = max(CHUNK_BYTES // (2 * size), 1)
        with ExitStack() as stack:
            group = self._zarr.open_group(stack.enter_context(atomic_folder(self.path)), mode="w", zarr_format=3)
            group.attrs.update({"frame_s": self._frame_s, "species": self._species})
            scores = group.create_array(
                "scores", shape=(0, size), dtype="float16", chunks=(chunk, size), shards=(SHARD_CHUNKS * chunk, size)
            )
            self._scores = _Growing(scores, SHARD_CHUNKS * chunk)
            kinds = {"recording": str, "start_s": "float64", "frames": "int64"}
            self._rows = [
                _Growing(group.create_array(name, shape=(0,), dtype=kind, chunks=(CHUNK_ROWS,)), CHUNK_ROWS)
                for name, kind in kinds.items()
            ]
            stack.callback(self._flush)  # before the folder is put in place
            self._stack = stack.pop_all()
        return self

    def add(self, result: Result) -> None:
        """Append the recording's frames."""
        scores = result.arrays.get("frames")
        if scores is not None:
            name = result.recording.encode("utf-8", "backslashreplace").decode("utf-8")
            self._scores.add(np.asarray(scores, np.float16))
            for column, value in zip(self._rows, (name, result.start_s, len(scores)), strict=True):
                column.add(np.array([value], column.array.dtype))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _flush(self) -> None:
        for array in (self._scores, *self._rows):
            array.flush()


class _Growing:
    """A Zarr array that rows are appended to; whole files are written, each once."""

    def __init__(self, array: Any, step: int) -> None:  # noqa: ANN401 - zarr comes late
        self.array, self._step = array, step
        self._waiting: list[NDArray[Any]] = []
        self._count = 0  # of rows that wait

    def add(self, rows: NDArray[Any]) -> None:
        """Append."""
        while self._count + len(rows) >= self._step:
            room = self._step - self._count
            self._waiting.append(rows[:room])
            self.flush()
            rows = rows[room:]
        self._waiting.append(rows)
        self._count += len(rows)

    def flush(self) -> None:
        """Write what waits."""
        rows = np.concatenate(self._waiting) if self._waiting else self.array[:0]
        start = self.array.shape[0]
        self.array.resize((start + len(rows), *self.array.shape[1:]))
        self.array[start:] = rows
        self._waiting, self._count = [], 0


class FrameScores(NamedTuple):
    """The frames of one recording."""

    recording: str
    frame_s: float
    start_s: float
    species: tuple[str, ...]  # names (S,)
    scores: NDArray[np.float16]  # (T, S)


def read_frames(path: str | Path) -> Iterator[FrameScores]:
    """The recordings of a ``frames.parquet`` or ``frames.zarr`` in its order, one in memory at a time."""
    return _read_zarr(Path(path)) if Path(path).is_dir() else _read_parquet(Path(path))


def _read_parquet(path: Path) -> Iterator[FrameScores]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = tuple(json.loads(file.schema_arrow.metadata[b"species"]))
        for batch in file.iter_batches(batch_size=1):
            recording, frame_s, start_s, frames, species = (batch.column(name)[0].as_py() for name in COLUMNS[:5])
            values = batch.column("scores")[0].values.to_numpy(zero_copy_only=False)
            yield FrameScores(recording, frame_s, start_s, names, values.reshape(frames, species))


def _read_zarr(path: Path) -> Iterator[FrameScores]:
    group = require_extra("zarr", "zarr").open_group(path, mode="r")
    frame_s, names = float(group.attrs["frame_s"]), tuple(group.attrs["species"])
    columns, first = [group[name] for name in ("recording", "start_s", "frames")], 0
    for row in range(0, columns[0].shape[0], CHUNK_ROWS):
        for recording, start_s, frames in zip(*(c[row : row + CHUNK_ROWS] for c in columns), strict=True):
            yield FrameScores(str(recording), frame_s, float(start_s), names, group["scores"][first : first + frames])
            first += int(frames)
