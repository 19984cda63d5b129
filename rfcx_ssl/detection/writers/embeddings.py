"""Embeddings of windows: embeddings.parquet, one row per window, or embeddings.npz for NumPy.

The arrays of ``embeddings.npz``: ``vector`` (N, D) float32, ``start_s`` and ``end_s`` (N,), ``recording_index`` (N,), which is the
place of the window's recording in ``recording`` (R,), the names of those that have windows.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import OneFile, ParquetTable
from rfcx_ssl.detection.writers.tables import WINDOW_COLUMNS, windows_of

_COPY_BYTES = 1 << 20
_MADE = (1980, 1, 1, 0, 0, 0)  # so that equal results make equal files


class EmbeddingParquet(ParquetTable):
    """embeddings.parquet: recording, start_s, end_s and vector, a list of D float32."""

    def __init__(self, path: Path, window_s: float) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.list_(pa.float32()))
        super().__init__(path, pa.schema(list(zip((*WINDOW_COLUMNS, "vector"), kinds, strict=True))))
        self._window_s = window_s

    def add(self, result: Result) -> None:
        """Append the windows."""
        for times, vector in _vectors(result, self._window_s):
            self.write((result.recording, *times, vector), vector.nbytes)


class EmbeddingNpz(OneFile):
    """embeddings.npz: arrays grow on the disk, and are packed at the end."""

    def __init__(self, path: Path, window_s: float) -> None:
        super().__init__(path)
        self._window_s = window_s

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        self._temporary = temporary
        self._times, self._vectors, self._index, self._names = (
            stack.enter_context(TemporaryFile(dir=temporary.parent)) for _ in range(4)
        )
        self._windows = self._recordings = self._dim = self._longest = 0

    def add(self, result: Result) -> None:
        """Append the windows."""
        before = self._windows
        for times, vector in _vectors(result, self._window_s):
            self._times.write(np.array(times, "<f8").tobytes())
            self._vectors.write(vector.astype("<f4").tobytes())
            self._index.write(np.array(self._recordings, "<i8").tobytes())
            self._windows, self._dim = self._windows + 1, vector.size
        if self._windows > before:
            name = result.recording.encode("utf-32-le", "surrogatepass")  # as NumPy keeps text
            self._names.write(len(name).to_bytes(4, "little") + name)
            self._recordings, self._longest = self._recordings + 1, max(self._longest, len(name))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            try:
                self._pack()
            except BaseException as problem:  # a full disk: the temporary files go, then it is raised
                super().__exit__(type(problem), problem, problem.__traceback__)
                raise
        super().__exit__(kind, error, trace)

    def _pack(self) -> None:
        windows, names = (self._windows,), f"<U{max(self._longest // 4, 1)}"
        with zipfile.ZipFile(self._temporary, "w") as archive:
            _member(archive, "vector", "<f4", (self._windows, self._dim), _pieces(self._vectors))
            for column, name in enumerate(("start_s", "end_s")):
                times = (np.frombuffer(piece, "<f8")[column::2].tobytes() for piece in _pieces(self._times))
                _member(archive, name, "<f8", windows, times)
            _member(archive, "recording_index", "<i8", windows, _pieces(self._index))
            _member(archive, "recording", names, (self._recordings,), self._padded())

    def _padded(self) -> Iterator[bytes]:
        """Names of recordings, all of one length."""
        self._names.seek(0)
        while length := self._names.read(4):
            yield self._names.read(int.from_bytes(length, "little")).ljust(self._longest, b"\0")


def _member(archive: zipfile.ZipFile, name: str, dtype: str, shape: tuple[int, ...], pieces: Iterator[bytes]) -> None:
    """One array of an archive, as its bytes come."""
    head = io.BytesIO()
    np.lib.format.write_array_header_2_0(head, {"descr": dtype, "fortran_order": False, "shape": shape})
    with archive.open(zipfile.ZipInfo(f"{name}.npy", _MADE), "w", force_zip64=True) as member:
        member.write(head.getvalue())
        for piece in pieces:
            member.write(piece)


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file from its start; pieces end between numbers, and between pairs of them."""
    file.seek(0)
    while piece := file.read(_COPY_BYTES):
        yield piece


def _vectors(result: Result, window_s: float) -> Iterator[tuple[tuple[float, float], NDArray[np.float32]]]:
    vectors = result.arrays.get("embeddings")
    if vectors is not None:
        yield from zip(windows_of(result, window_s), vectors, strict=True)
