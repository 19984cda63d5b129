"""Where and when recordings were made, from a table that the user gives; of any length, for it is never held in memory.

Columns: ``recording`` (or ``recording_id``, ``file``), and any of ``site``, ``latitude``, ``longitude``, ``datetime``, ``date``,
``time``. What dates may look like: :mod:`rfcx_ssl.data.when`; they are those of the recorder's clock.
"""

import hashlib
import sqlite3
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rfcx_ssl.annotations.audio_index import without_suffix
from rfcx_ssl.data.when import recorded_at
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number

NAMES = ("recording", "recording_id", "file")
FACTS = ("site", "latitude", "longitude", "datetime", "date", "time")
_RANGE = {"latitude": 90.0, "longitude": 180.0}
_BATCH_ROWS = 10_000


class Place(NamedTuple):
    """What the table says of one recording; None is not said."""

    site: str | None
    latitude: float | None  # degrees
    longitude: float | None
    knows_day: bool  # the table gives a date: then nothing is taken from the header
    recorded_at: str | None  # ISO 8601, where it gives the time of day, too


class RecordingTable:
    """An open table; from :func:`open_recording_table`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self.find = lru_cache(maxsize=4)(self._find)  # every writer asks for the recording that is being written

    def check(self, recordings: Iterable[tuple[str, str]]) -> int:
        """Look for (name, path) of all recordings before anything is heard; returns how many the table does not have.

        Raises:
            AnnotationError: a row names two recordings, or none of the rows any.
        """
        missing = found = 0
        for name, path in recordings:
            row = self._row(name, path)
            if row is None:
                missing += 1
                continue
            found += 1
            key, owner = row[0], row[1]
            if owner not in (None, name):
                raise AnnotationError(
                    f"{self.path}: {key!r} may be {owner!r} or {name!r}: give the path of the recording"
                )
            self._connection.execute("UPDATE places SET owner = ? WHERE key = ?", (name, key))
        if not found:
            key = self._connection.execute("SELECT min(key) FROM places").fetchone()[0]
            raise AnnotationError(f"{self.path}: none of the recordings of the table is here, e.g. {key!r}")
        return missing

    def digest(self, recordings: Iterable[tuple[str, str]]) -> str:
        """A hash of what scores may depend on, site and time, of recordings by (name, path)."""
        found = hashlib.sha256()
        for name, path in recordings:
            place = self._find(name, path)
            found.update(repr(place and (place.site, place.knows_day, place.recorded_at)).encode())
        return found.hexdigest()

    def _find(self, recording: str, path: str) -> Place | None:
        """What the table says of a recording, by its name, else by the longest end of its path; None where nothing."""
        row = self._row(recording, path)
        return None if row is None else Place(row[2], row[3], row[4], bool(row[5]), row[6])

    def _row(self, recording: str, path: str) -> tuple[Any, ...] | None:
        keys = list(dict.fromkeys([_key(recording), *_ends(_key(path)), *_ends(_key(recording))]))
        marks = ",".join("?" * len(keys))
        rows = self._connection.execute(f"SELECT * FROM places WHERE key IN ({marks})", keys)
        return min(rows, key=lambda row: keys.index(row[0]), default=None)


@contextmanager
def open_recording_table(path: Path) -> Iterator[RecordingTable]:
    """Read a CSV or Parquet table into a temporary file and check every row.

    Raises:
        AnnotationError: it cannot be read, has none of the columns, names a recording twice, or a cell is no number or date.
    """
    with tempfile.TemporaryDirectory(prefix="rfcx-recordings-") as folder:
        connection = sqlite3.connect(Path(folder) / "places.sqlite", isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(
                "CREATE TABLE places (key TEXT PRIMARY KEY, owner, site, latitude, longitude, knows_day, recorded_at)"
            )
            connection.execute("BEGIN")
            _fill(path, connection)
            yield RecordingTable(path, connection)
        finally:
            connection.close()


def _fill(path: Path, connection: sqlite3.Connection) -> None:
    count = 0
    for where, cells in _parquet_rows(path) if path.suffix.lower() == ".parquet" else _csv_rows(path):
        key = _key(next((cells[name] for name in NAMES if cells.get(name)), ""))
        if not key:
            raise AnnotationError(f"{where}: names no recording")
        try:
            row = (_cell(cells, "site"), *(_degrees(cells, name) for name in _RANGE), *_start(key, cells, path))
        except (ValueError, AnnotationError) as error:
            raise AnnotationError(f"{where}: {error}") from None
        try:
            connection.execute("INSERT INTO places VALUES (?, NULL, ?, ?, ?, ?, ?)", (key, *row))
        except sqlite3.IntegrityError:
            raise AnnotationError(f"{where}: recording {key!r} is listed twice") from None
        count += 1
    if not count:
        raise AnnotationError(f"{path}: has no rows")


def _csv_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    checked = False
    for line, cells in iter_csv(path, (), (*NAMES, *FACTS)):
        if not checked:
            _check_columns(path, cells)
            checked = True
        yield f"{path}:{line}", cells


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, str]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as table:
            columns = [name for name in table.schema_arrow.names if name in (*NAMES, *FACTS)]
            _check_columns(path, columns)
            number = 0
            for batch in table.iter_batches(_BATCH_ROWS, columns=columns):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}: row {number}", {name: _text(value) for name, value in row.items()}
    except (OSError, pa.ArrowException) as error:
        raise AnnotationError(f"{path}: cannot be read as a table ({error})") from None


def _check_columns(path: Path, columns: Iterable[str]) -> None:
    have = set(columns)
    if not have.intersection(NAMES) or not have.intersection(FACTS):
        raise AnnotationError(f"{path}:1: needs a column {' or '.join(NAMES)}, and any of {', '.join(FACTS)}")


def _text(value: object) -> str:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return "" if value is None or value != value else str(value)


def _cell(cells: Mapping[str, str], name: str) -> str | None:
    return cells.get(name) or None


def _degrees(cells: Mapping[str, str], name: str) -> float | None:
    text = cells.get(name, "")
    if not text:
        return None
    value = parse_number(name, text)
    if not abs(value) <= _RANGE[name]:
        raise ValueError(f"{name}={text} must be from -{_RANGE[name]:g} to {_RANGE[name]:g}")
    return value


def _start(key: str, cells: Mapping[str, str], path: Path) -> tuple[bool, str | None]:
    """Whether the table gives a day, and the moment where it gives the time of day, too."""
    if not cells.get("datetime") and not cells.get("date"):
        if cells.get("time"):
            raise ValueError(f"time={cells['time']!r} is there without a date")
        return False, None
    moment = recorded_at(key, cells, path.name)
    return True, None if moment is None else moment.isoformat()


def _key(name: str) -> str:
    """One spelling of a recording's name or path: forward slashes, composed characters, no suffix of audio."""
    text = unicodedata.normalize("NFC", without_suffix(name.replace("\\", "/").removeprefix("./")))
    return text.encode("utf-8", "backslashreplace").decode("utf-8")  # file names in other encodings


def _ends(path: str) -> list[str]:
    """The path and its ends, the longest first: ``/a/b``, ``a/b``, ``b``."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(len(parts))]
