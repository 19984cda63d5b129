"""Files and folders that are either whole or not there: a temporary name beside them, then a rename.

``atomic_path`` and ``atomic_folder`` yield the temporary name. With ``durable=True`` the content is on the disk before
the rename, so that it survives a power cut: checkpoints need that, pictures do not.
"""

import csv
import difflib
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import AnnotationError

logger = logging.getLogger(__name__)


@contextmanager
def atomic_path(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a temporary path in the same folder; it replaces ``path`` at the end, and is removed on failure."""
    final = Path(path)
    temporary = _temporary(final)
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(final)
    except BaseException:  # an interrupt, too, must leave no half-written file; it is raised again
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        _sync(final.parent)


@contextmanager
def atomic_folder(path: str | Path, *, durable: bool = False) -> Iterator[Path]:
    """Yield a new temporary folder beside ``path``; it replaces ``path`` at the end, and is removed on failure.

    A folder that is already there is removed only when its successor is complete.
    """
    final = Path(path)
    temporary = _temporary(final)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        if durable:
            for item in [*temporary.rglob("*"), temporary]:
                _sync(item)
        if final.exists():
            shutil.rmtree(final)
        temporary.replace(final)
    except BaseException:  # as above
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    if durable:
        _sync(final.parent)


def write_text(path: str | Path, text: str, *, durable: bool = False) -> None:
    """Replace ``path`` by ``text`` in UTF-8, atomically."""
    with atomic_path(path, durable=durable) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_csv(path: str | Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Replace ``path`` by a table in UTF-8 with lines that end in a newline, atomically; returns the number of rows."""
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the result
            writer.writerow(row)
    return count


def iter_csv(
    path: Path, required: Sequence[str], optional: Sequence[str] | None = (), delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; the header must hold every required column.

    ``optional`` are the other columns to take; None takes all.

    Raises:
        AnnotationError: for an unreadable or empty file, a missing column, a misspelt optional one, or a ragged row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from iter_rows(path, lines, required, optional, delimiter)
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a table ({error})") from None


def iter_rows(
    path: Path,
    lines: Iterable[str],
    required: Sequence[str],
    optional: Sequence[str] | None = (),
    delimiter: str = ",",
    *,
    spelling: bool = True,
) -> Iterator[tuple[int, dict[str, str]]]:
    """:func:`iter_csv` of text that was read already; without ``spelling`` other columns are nobody's concern."""
    try:
        reader = csv.reader(lines, delimiter=delimiter)
        header = tuple(name.strip() for name in next(reader, []))
        missing, misspelt, extra = _check_header(
            header, tuple(required), None if optional is None else tuple(optional), spelling
        )
        if missing:
            raise AnnotationError(f"{path}:1: missing column {', '.join(missing)}; the header is {','.join(header)!r}")
        if misspelt:
            raise AnnotationError(f"{path}:1: unknown column {misspelt[0]!r}, did you mean {misspelt[1]!r}?")
        if extra and spelling:
            logger.info("%s: columns not used: %s", path, ", ".join(extra))
        wanted = [(place, name) for place, name in enumerate(header) if name not in extra]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise AnnotationError(f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}")
            yield reader.line_num, {name: cells[place].strip() for place, name in wanted}
    except csv.Error as error:
        raise AnnotationError(f"{path}: cannot be read as a table ({error})") from None


@lru_cache(maxsize=256)
def _check_header(
    header: tuple[str, ...], required: tuple[str, ...], optional: tuple[str, ...] | None, spelling: bool
) -> tuple[list[str], tuple[str, str] | None, list[str]]:
    """Missing columns, a misspelt one and what it should be, and columns that nobody asked for."""
    missing = [name for name in required if name not in header]
    if optional is None:
        return missing, None, []
    extra = [name for name in header if name not in (*required, *optional)]
    for name in extra if spelling else ():
        if near := difflib.get_close_matches(name.lower(), optional, n=1, cutoff=0.75):
            return missing, (name, near[0]), extra
    return missing, None, extra


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in ``folder``."""
    for leftover in folder.glob(".*.tmp"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.{os.getpid()}.tmp")


def _sync(path: Path) -> None:
    """Flush a file or a folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
