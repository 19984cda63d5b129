"""One label table as text, and what is seen from its head."""

import csv
import io
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rfcx_ssl.annotations.exchange import Selection, recording_of_table
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import guard_cell, iter_rows

logger = logging.getLogger(__name__)

_PARQUET = b"PAR1"
TABLE_SUFFIXES = (".csv", ".txt", ".tsv")


@dataclass(frozen=True)
class LabelTable:
    """A file that may hold labels, read as text once."""

    path: Path
    recording: str  # the recording that it belongs to by its name, for rows that name none
    text: str

    @classmethod
    def read(cls, path: Path, recording: str | None = None) -> "LabelTable":
        """Read a file: UTF-8 or UTF-16 with a mark, else Windows' western characters, which is said; or Parquet.

        Raises:
            AnnotationError: it cannot be read.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
        return cls(path, recording_of_table(path) if recording is None else recording, _decode(path, data))

    @cached_property
    def folder(self) -> str:
        """The folder that it lies in."""
        return str(self.path.parent)

    @cached_property
    def first_line(self) -> str:
        """The first line that is not empty."""
        return next((line for line in io.StringIO(self.text) if line.strip()), "").rstrip("\r\n")

    @cached_property
    def delimiter(self) -> str:
        """A tab where the first line has one, else a comma or, where there are more of those, a semicolon."""
        line = self.first_line
        return "\t" if "\t" in line else ";" if line.count(";") > line.count(",") else ","

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names in the first line."""
        return frozenset(name.strip().strip('"') for name in self.first_line.split(self.delimiter))

    def rows(
        self, required: Sequence[str], optional: Sequence[str] = (), *, spelling: bool = False
    ) -> Iterator[tuple[int, dict[str, str]]]:
        """Line number and cells of each row; with ``spelling`` a column that is nearly an optional one is an error."""
        lines = io.StringIO(self.text, newline="")
        return iter_rows(self.path, lines, required, optional, self.delimiter, spelling=spelling)


@dataclass(frozen=True)
class Kind:
    """A kind of label table: how it is known by its head, and how it is read."""

    name: str
    matches: Callable[[LabelTable], bool]
    read: Callable[[LabelTable], Iterable[Selection]]  # AnnotationError names file and line
    by_program: Callable[[LabelTable], bool] = lambda _: False  # whether a program writes such a table


def _decode(path: Path, data: bytes) -> str:
    if data.startswith(_PARQUET):
        return _from_parquet(path, data)
    try:
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        if b"\0" in data:
            raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
    logger.warning("%s: is not UTF-8: read as Windows-1252; look at its names, or save it as UTF-8", path)
    return data.decode("cp1252", errors="replace")


def _from_parquet(path: Path, data: bytes) -> str:
    """A Parquet table as the text of a CSV table; a value that is not there is an empty cell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (OSError, pa.ArrowException) as error:
        raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(table.column_names)
    for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
        writer.writerow([guard_cell(cell) if isinstance(cell, str) else cell for cell in row])
    return text.getvalue()
