"""Files and folders that are either whole or not there: a temporary name beside them, then a rename; tables; safe names.

``atomic_path`` and ``atomic_folder`` yield the temporary name. With ``durable=True`` the content is on the disk before
the rename, so that it survives a power cut: checkpoints need that, pictures do not.
"""

import csv
import difflib
import fcntl
import glob
import hashlib
import logging
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from rfcx_ssl.errors import AnnotationError, RunError

logger = logging.getLogger(__name__)
_unused: set[tuple[str, ...]] = set()  # columns that were reported as not used: thousands of tables may have them

_MOST_BYTES = 200  # of a part of a path: file systems allow 255, and suffixes and temporary names come on top
_MOST_PATH_BYTES = 1000  # of all parts, to which the folder above comes
_UNSAFE = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"|?*\\\ud800-\udfff]'  # what some file system, or none, has in names
    r"|%(?=[0-9a-f]{2})"  # what would be read as one of our own escapes
    r"|\A/|/(?=/|\Z)"  # an absolute path, a part without a name
    r"|(?<![^/])\.|[. ](?=/|\Z)"  # "..", hidden files, ends that Windows drops
    r"|(?<![^/])(?=(?:con|prn|aux|nul|com[1-9]|lpt[1-9])(?:[./]|\Z)).",  # devices of Windows, whatever the suffix
    flags=re.IGNORECASE,
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?|[+-]?inf", flags=re.ASCII)
_FORMULA = re.compile(r"'*[=+\-@\t\r＝＋－＠]")  # noqa: RUF001 - spreadsheets take the wide signs, too


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

    A folder that is already there is removed only when its successor is complete. What writers that were killed left of it
    is removed first.

    Raises:
        RunError: another process is writing this folder.
    """
    final = Path(path)
    temporary = _temporary(final)
    with _claim(final):
        for leftover in final.parent.glob(f".{glob.escape(final.name)}.*.tmp"):
            shutil.rmtree(leftover, ignore_errors=True)
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
    """Replace ``path`` by a table in UTF-8 with lines that end in a newline, atomically; returns the number of rows.

    Text that is no number goes through :func:`guard_cell`; :func:`iter_csv` takes that off again.
    """
    count = 0
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(_guarded, columns))
        for count, row in enumerate(rows, start=1):  # noqa: B007 - the last number is the result
            writer.writerow(map(_guarded, row))
    return count


def _guarded(cell: Any) -> Any:  # noqa: ANN401 - csv takes whatever has a text
    return guard_cell(cell) if isinstance(cell, str) and not _NUMBER.fullmatch(cell) else cell


def iter_csv(
    path: Path,
    required: Sequence[str],
    optional: Sequence[str] | None = (),
    delimiter: str = ",",
    *,
    others: Collection[str] = (),
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; the header must hold every required column.

    Apostrophes that keep a spreadsheet from running a cell are taken off, but in tables between tabs nobody puts any.

    ``optional`` are the other columns to take; None takes all. Of columns that nobody takes a note is made, once; ``others`` are
    those that other readers of the table take.

    Raises:
        AnnotationError: for an unreadable or empty file, a missing column, one that is there twice, a misspelt optional one, or a
            ragged row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from iter_rows(path, lines, required, optional, delimiter, others=others)
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
    others: Collection[str] = (),
) -> Iterator[tuple[int, dict[str, str]]]:
    """:func:`iter_csv` of text that was read already; without ``spelling`` other columns are nobody's concern."""
    try:
        reader = csv.reader(lines, delimiter=delimiter)
        plain = str if delimiter == "\t" else unguard_cell
        header = tuple(plain(name.strip()) for name in next(reader, []))
        try:
            missing, misspelt, extra = _check_header(
                header, tuple(required), None if optional is None else tuple(optional), spelling
            )
        except ValueError as error:
            raise AnnotationError(f"{path}:1: {error}") from None
        if missing:
            raise AnnotationError(f"{path}:1: missing column {', '.join(missing)}; the header is {','.join(header)!r}")
        if misspelt:
            raise AnnotationError(f"{path}:1: unknown column {misspelt[0]!r}, did you mean {misspelt[1]!r}?")
        if spelling and (unused := tuple(name for name in extra if name not in others)):
            _note_unused(path, unused)
        wanted = [(place, name) for place, name in enumerate(header) if name not in extra]
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                raise AnnotationError(f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}")
            yield reader.line_num, {name: plain(cells[place].strip()) for place, name in wanted}
    except csv.Error as error:
        raise AnnotationError(f"{path}: cannot be read as a table ({error})") from None


def _note_unused(path: Path, columns: tuple[str, ...]) -> None:
    """Say once per kind of table which of its columns mean nothing here."""
    if columns not in _unused:
        _unused.add(columns)
        logger.info("%s: columns not used: %s", path, ", ".join(columns))


@lru_cache(maxsize=256)
def _check_header(
    header: tuple[str, ...], required: tuple[str, ...], optional: tuple[str, ...] | None, spelling: bool
) -> tuple[list[str], tuple[str, str] | None, list[str]]:
    """Missing columns, a misspelt one and what it should be, and columns that nobody asked for.

    Raises:
        ValueError: two of the columns that are read have one name.
    """
    read = [name for name in header if name and (optional is None or name in (*required, *optional))]
    if twice := [name for name in read if read.count(name) > 1]:
        raise ValueError(f"column {twice[0]!r} is there twice")
    missing = [name for name in required if name not in header]
    if optional is None:
        return missing, None, []
    extra = [name for name in header if name not in (*required, *optional)]
    for name in extra if spelling else ():
        if near := difflib.get_close_matches(name.lower(), optional, n=1, cutoff=0.75):
            return missing, (name, near[0]), extra
    return missing, None, extra


def guard_cell(text: str) -> str:
    """Text for a cell of a CSV file: an apostrophe comes before what a spreadsheet would run as a formula."""
    return f"'{text}" if _FORMULA.match(text) else text


def unguard_cell(text: str) -> str:
    """The text that :func:`guard_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def safe_name(name: str, *, folders: bool = True) -> str:
    """A relative path for a file that is named after ``name``, whatever that holds; a name without dangers stays as it is.

    Slashes make folders (with ``folders=False`` none). What could leave the folder, or what some file system does not
    take, is written as in URLs (``..`` is ``%2E%2E``, a colon ``%3A``), so that :func:`name_of_safe` finds the name
    again. Only parts of more than 200 bytes are lost: they are cut and end in a hash of the whole. So does a path of more
    than 1000, in one part.
    """
    if not name:
        raise ValueError("an empty name names no file")
    escaped = _UNSAFE.sub(lambda match: _escape(match[0]), name)
    if not folders:
        escaped = escaped.replace("/", _escape("/"))
    if len(escaped.encode("utf-8")) > _MOST_PATH_BYTES:
        return _short(escaped.replace("/", _escape("/")), name)
    return "/".join(_short(part, name) for part in escaped.split("/"))


def name_of_safe(path: str) -> str:
    """The name that :func:`safe_name` made this path of; a path that it cannot have made stays as it is."""
    name = unquote(path, errors="surrogateescape")
    return name if name and safe_name(name) == path else path


def _escape(character: str) -> str:
    """Percent signs and the bytes in UTF-8, as in URLs; a byte of a file name that is not UTF-8 is itself."""
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", errors))


def _short(part: str, name: str) -> str:
    data = part.encode("utf-8")
    if len(data) <= _MOST_BYTES:
        return part
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{data[: _MOST_BYTES - 13].decode('utf-8', 'ignore')}~{digest}"


@contextmanager
def _claim(final: Path) -> Iterator[None]:
    """Keep other processes from writing ``final`` at the same time; the claim of a killed one is void."""
    lock = final.with_name(f".{final.name}.lock")
    with lock.open("a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"{final} is being written by another running process") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Remove what writers that were killed left in ``folder``."""
    for leftover in [*folder.glob(".*.tmp"), *folder.glob(".*.lock")]:
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
