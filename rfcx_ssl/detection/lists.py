"""Lists of recordings: a CSV or Parquet table of files and parts of files, or a text of one path per line."""

import csv
import io
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rfcx_ssl.errors import AudioError, first_line
from rfcx_ssl.files import iter_rows
from rfcx_ssl.finite import parse_number

#: What the columns may be called.
FILE = ("file", "path", "filename", "file_name", "filepath", "url")
START = ("start", "start_s")
END = ("end", "end_s")
ROWS_AT_ONCE = 10_000


class Row(NamedTuple):
    """A file as the list writes it, and the part of it that is meant; ``where`` names list and line."""

    where: str
    file: str
    start_s: float
    end_s: float | None  # None: to the end


def read_list(source: str) -> Iterator[Row]:
    """The rows of a list, streamed; ``-`` is a text or CSV from the pipe.

    A table has a column :data:`FILE`, and may have :data:`START` and :data:`END` in seconds; an empty cell means the
    start or end of the file. Other columns are not used. A text without such a header holds one path per line.

    Raises:
        AudioError: the list cannot be read, or has a wrong row, which is named by its line.
        AnnotationError: a row of a CSV has not as many cells as the header.
    """
    try:
        if source.lower().endswith((".parquet", ".pq")):
            yield from _parquet(source)
        else:
            with _opened(source) as lines:
                yield from _text(source, lines)
    except OSError as error:
        raise AudioError(f"{source}: cannot be read ({error.strerror or first_line(error)})") from None


@contextmanager
def _opened(source: str) -> Iterator[TextIO]:
    """The text of a file or the pipe; file names that are not UTF-8 come through as the file system has them."""
    binary = sys.stdin.buffer if source == "-" else Path(source).open("rb")
    lines = io.TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield lines
    finally:
        if source == "-":
            lines.detach()
        else:
            lines.close()


def _text(source: str, lines: TextIO) -> Iterator[Row]:
    """A CSV (or a table with tabs) if its first line has a column of files or its name says so; else a path per line."""
    first = next(lines, "")
    delimiter = "\t" if "\t" in first else ","
    try:
        header = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
    except csv.Error as error:
        raise AudioError(f"{source}:1: {error}") from None
    if _column(header, FILE) is None and not source.lower().endswith((".csv", ".tsv")):
        for line, text in enumerate(chain([first], lines), start=1):
            if file := text.rstrip("\r\n"):
                yield Row(f"{source}:{line}", file, 0.0, None)
        return
    names = _columns(source, header)
    wanted = [name for name in names if name is not None]
    for line, cells in iter_rows(Path(source), chain([first], lines), wanted, (), delimiter, spelling=False):
        yield _row(f"{source}:{line}", cells, names)


def _parquet(source: str) -> Iterator[Row]:
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(source) as file:
            names = _columns(source, file.schema_arrow.names)
            wanted = [name for name in names if name is not None]
            batches = (batch.to_pylist() for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted))
            for number, cells in enumerate(chain.from_iterable(batches), start=1):
                yield _row(f"{source}: row {number}", cells, names)
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        raise AudioError(f"{source}: cannot be read as Parquet ({first_line(error)})") from None


def _columns(source: str, header: Sequence[str]) -> tuple[str, str | None, str | None]:
    """What the header calls file, start and end."""
    file = _column(header, FILE)
    if file is None:
        raise AudioError(f"{source}: no column {' or '.join(FILE)}; the header is {','.join(header)!r}")
    return file, _column(header, START), _column(header, END)


def _column(header: Sequence[str], names: Sequence[str]) -> str | None:
    return next((column for name in names for column in header if column.lower() == name), None)


def _row(where: str, cells: Mapping[str, Any], names: tuple[str, str | None, str | None]) -> Row:
    file, start, end = names
    if not cells[file]:
        raise AudioError(f"{where}: no file name")
    start_s = _seconds(where, start, cells) or 0.0
    end_s = _seconds(where, end, cells)
    if end_s is not None and end_s <= start_s:
        raise AudioError(f"{where}: {end}={end_s:g} must be above the start, {start_s:g}")
    return Row(where, str(cells[file]), start_s, end_s)


def _seconds(where: str, column: str | None, cells: Mapping[str, Any]) -> float | None:
    value = None if column is None else cells[column]
    if value is None or value == "" or value != value:  # NaN is how tables write an empty cell
        return None
    try:
        seconds = parse_number(column or "", str(value))
    except ValueError:
        seconds = -1.0
    if seconds < 0:
        raise AudioError(f"{where}: {column}={value!r} must be seconds, 0 or more")
    return seconds
