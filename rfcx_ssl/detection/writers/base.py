"""What writers share: one file for all recordings, or one file for each; whole or not at all, and nothing kept in memory."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from rfcx_ssl.detection.result import Result
from rfcx_ssl.files import atomic_path, guard_cell, safe_name, write_text

GROUP_BYTES = 8 << 20  # of a Parquet row group: what is in memory, and how long the footer gets
CELL_BYTES = 64  # of a cell as an object of Python


class Writer(ABC):
    """Takes the results of recordings in the order of the listing; a context manager, complete when it exits."""

    def __enter__(self) -> Self:
        """Open."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish, or remove what is incomplete after an error."""
        return None

    @property
    def is_there(self) -> bool:
        """Whether what it writes lies in its place already; what may rightly be absent counts as there."""
        return True

    @abstractmethod
    def add(self, result: Result) -> None:
        """Write what came of one recording."""


class OneFile(Writer):
    """A table of all recordings in one file, put in place at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()

    @property
    def is_there(self) -> bool:
        """Whether the file is there."""
        return self.path.is_file()

    def __enter__(self) -> Self:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            self._open(stack.enter_context(atomic_path(self.path)), stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def _open(self, temporary: Path, stack: ExitStack) -> None:
        """Start the file; what must be closed goes on the stack."""


class TextFile(OneFile):
    """A file of text in UTF-8; what is not Unicode (a file name in another encoding) is written as an escape."""

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        file = temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace")
        self._start(stack.enter_context(file))

    @abstractmethod
    def _start(self, file: IO[str]) -> None:
        """Take the open file."""


class CsvTable(TextFile):
    """A comma-separated table. Text that came from data goes through :func:`rfcx_ssl.files.guard_cell`."""

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        super().__init__(path)
        self.columns = tuple(columns)

    def _start(self, file: IO[str]) -> None:
        self._writer = csv.writer(file)
        self.write(map(guard_cell, self.columns))

    def write(self, cells: Any) -> None:  # noqa: ANN401 - csv takes whatever has a text
        """One row; None is empty."""
        self._writer.writerow(cells)


class ParquetTable(OneFile):
    """A Parquet table. Rows are collected to row groups of about :data:`GROUP_BYTES`."""

    def __init__(self, path: Path, schema: Any) -> None:  # noqa: ANN401 - pyarrow has no types
        super().__init__(path)
        self.schema = schema

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        words = [field.name for field in self.schema if pa.types.is_string(field.type)]  # numbers hardly repeat
        writer = pq.ParquetWriter(temporary, self.schema, compression="zstd", use_dictionary=words)
        self._writer: Any = stack.enter_context(writer)
        self._rows: list[Sequence[Any]] = []
        self._bytes = 0
        stack.callback(self._flush)  # before the file is closed

    def write(self, row: Sequence[Any], array_bytes: int = 0) -> None:
        """One row in the order of the schema; ``array_bytes`` are those of the arrays in it."""
        self._rows.append(row)
        self._bytes += len(row) * CELL_BYTES + array_bytes
        if self._bytes >= GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            columns = zip(*self._rows, strict=True)
            arrays = [_arrow_array(cells, field.type) for cells, field in zip(columns, self.schema, strict=True)]
            self._writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
            self._rows, self._bytes = [], 0


def _arrow_array(cells: Sequence[Any], kind: Any) -> Any:  # noqa: ANN401 - pyarrow has no types
    """A column; text that is not Unicode (a file name in another encoding) with escapes."""
    import pyarrow as pa

    try:
        return pa.array(cells, kind)
    except UnicodeEncodeError:
        return pa.array([str(cell).encode("utf-8", "backslashreplace").decode("utf-8") for cell in cells], kind)


class FilePerRecording(Writer):
    """A file of its own for every recording that was heard, also where nothing was found in it.

    The recording's name gives the folders below ``folder``. A file that would not change is left alone, so that a
    backup copies only what is new.
    """

    suffix = ""

    def __init__(self, folder: Path, nyquist_hz: float) -> None:
        self.folder, self.nyquist_hz = folder, nyquist_hz

    @classmethod
    def path(cls, folder: Path, recording: str) -> Path:
        """Where the file of a recording lies."""
        return folder / f"{safe_name(recording)}{cls.suffix}"

    @property
    def is_there(self) -> bool:
        """Whether the folder is there."""
        return self.folder.is_dir()

    def add(self, result: Result) -> None:
        """Write the recording's file."""
        if result.clip is None:
            return
        path, text = self.path(self.folder, result.recording), self.text(result)
        if not path.is_file() or path.read_bytes() != text.encode("utf-8"):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)

    @abstractmethod
    def text(self, result: Result) -> str:
        """The whole table of one recording."""
