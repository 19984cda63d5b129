"""The recordings of an output folder, each with its place for ever: an SQLite file, no memory per recording.

A recording is known by its path (and part), so the same folder mounted elsewhere is new. Whether its content is still
the same, size and time (or ETag) tell. One process updates the file, then any number read it.
"""

import hashlib
import math
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from rfcx_ssl.detection.recordings import Recording, free_name
from rfcx_ssl.errors import RunError

VERSION = 1  # of the tables below
MOST_NAMED = 5
PAGE = 1000  # recordings that are read at once
CACHE_KIB = 64 * 1024
_SCHEMA = """
CREATE TABLE recordings (
    idx INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE,
    path BLOB NOT NULL, start_s REAL NOT NULL, end_s REAL NOT NULL,
    size INT NOT NULL, changed TEXT NOT NULL, new_size INT, new_changed TEXT, here INT NOT NULL
);
CREATE INDEX waiting ON recordings (idx) WHERE new_changed IS NOT NULL;
CREATE TABLE seen (idx INTEGER PRIMARY KEY);
"""


@dataclass(frozen=True, slots=True)
class Listed:
    """A recording and its place."""

    index: int
    recording: Recording  # with its unique name; size and time as they were when it was added, or accepted last
    here: bool  # whether the last update still named it


class Changes(NamedTuple):
    """What an update found, in recordings."""

    added: int
    changed: int  # size or time differ; as before until they are accepted
    gone: int  # not named any more; they keep their places
    unchanged: int
    first_changed: tuple[str, ...]  # names, at most MOST_NAMED


class Listing:
    """The recordings of an output folder; a context manager.

    Args:
        path: the file; made where it is not there.
        readonly: read without locks and without writing, from any number of processes, while nobody updates.

    Raises:
        RunError: the file is damaged, of another version, or not there to be read (here, or later when it is used).
    """

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        self.path = path
        with self._errors():
            self._connection = self._reader() if readonly else sqlite3.connect(path, timeout=0.5, isolation_level=None)
        try:
            with self._errors():
                if not readonly:
                    self._prepare()
                self._require_version()
        except RunError:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __len__(self) -> int:
        with self._errors():
            return int(self._connection.execute("SELECT COALESCE(MAX(idx) + 1, 0) FROM recordings").fetchone()[0])

    def rows(self, first: int, count: int) -> list[Listed]:
        """The recordings at places ``first`` to ``first + count - 1``, as far as there are any."""
        query = (
            "SELECT idx, here, name, path, start_s, end_s, size, changed FROM recordings WHERE idx >= ? AND idx < ? "
            "ORDER BY idx"
        )
        with self._errors():
            return [
                Listed(idx, _recording(*cells), bool(here))
                for idx, here, *cells in self._connection.execute(query, (first, first + count))
            ]

    def __iter__(self) -> Iterator[Listed]:
        """All recordings in their order, PAGE of them in memory."""
        for first in range(0, len(self), PAGE):
            yield from self.rows(first, PAGE)

    def update(self, recordings: Iterable[Recording]) -> Changes:
        """Make this the list of ``recordings``, in one transaction: an error while they are found changes nothing.

        New ones follow behind those that are known, in their order, under the first of their names that is free. One
        that is there twice counts once. Of one that changed size or time nothing changes here before :meth:`accept`.
        """
        with self._errors(), self._transaction():
            known = len(self)
            self._connection.execute("DELETE FROM seen")
            changed, first_changed = 0, list[str]()
            for recording in recordings:
                name = self._see(recording, known)
                if name is not None:
                    changed += 1
                    if len(first_changed) < MOST_NAMED:
                        first_changed.append(name)
            unchanged = self._count("SELECT COUNT(*) FROM seen") - changed
            self._connection.execute(
                "UPDATE recordings SET here = NOT here WHERE idx < ? AND here <> (idx IN (SELECT idx FROM seen))",
                (known,),
            )
            gone = self._count("SELECT COUNT(*) FROM recordings WHERE NOT here")
            return Changes(len(self) - known, changed, gone, unchanged, tuple(first_changed))

    def changed(self) -> Iterator[int]:
        """Places, in order, of recordings whose size or time is not the one they were listed with."""
        with self._errors():
            query = "SELECT idx FROM recordings WHERE new_changed IS NOT NULL ORDER BY idx"
            for (idx,) in self._connection.execute(query):
                yield int(idx)

    def accept(self) -> None:
        """Take the sizes and times of changed recordings as theirs; call it when what was heard of them is removed."""
        with self._errors():
            self._connection.execute(
                "UPDATE recordings SET size = new_size, changed = new_changed, new_size = NULL, new_changed = NULL "
                "WHERE new_changed IS NOT NULL"
            )

    def _see(self, recording: Recording, known: int) -> str | None:
        """Add a recording or note that it is still there; returns its name if it is a known one that changed."""
        key = _key(recording)
        query = "SELECT idx, name, size, changed, new_changed IS NOT NULL FROM recordings WHERE key = ?"
        found = self._connection.execute(query, (key,)).fetchone()
        if found is None:
            self._add(recording, key)
            return None
        idx, name, size, time, waits = found
        if idx >= known or not self._connection.execute("INSERT OR IGNORE INTO seen VALUES (?)", (idx,)).rowcount:
            return None
        # who cannot say does not say that it changed
        differs = recording.changed != "" and (recording.size, recording.changed) != (size, time)
        if differs or waits:
            new = (recording.size, recording.changed) if differs else (None, None)
            self._connection.execute("UPDATE recordings SET new_size = ?, new_changed = ? WHERE idx = ?", (*new, idx))
        return str(name) if differs else None

    def _add(self, recording: Recording, key: bytes) -> None:
        name = free_name(recording, self._path_of)
        end_s = math.inf if recording.end_s is None else recording.end_s
        place = "(SELECT COALESCE(MAX(idx) + 1, 0) FROM recordings)"
        self._connection.execute(
            f"INSERT INTO recordings VALUES ({place}, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, 1)",
            (key, name, os.fsencode(recording.path), recording.start_s, end_s, recording.size, recording.changed),
        )

    def _path_of(self, name: str) -> str | None:
        row = self._connection.execute("SELECT path FROM recordings WHERE name = ?", (name,)).fetchone()
        return None if row is None else os.fsdecode(row[0])

    def _count(self, query: str) -> int:
        return int(self._connection.execute(query).fetchone()[0])

    def _prepare(self) -> None:
        """Undo what a killed update left, check the file, make the tables of a new one."""
        self._connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        (found,) = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(found.split()))
        if self._version() == 0:
            with self._transaction():
                if self._version() == 0:  # nobody else was faster
                    for statement in _SCHEMA.split(";"):
                        self._connection.execute(statement)
                    self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def _reader(self) -> sqlite3.Connection:
        if not self.path.is_file():
            raise RunError(f"{self.path}: there is no list of recordings")
        if Path(f"{self.path}-journal").exists():
            raise RunError(f"{self.path}: is being updated, or was interrupted in that; run rfcx-ssl detect again")
        # immutable: no locks, which not every network share has
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)

    def _require_version(self) -> None:
        if self._version() != VERSION:
            raise RunError(
                f"{self.path}: made by another version of rfcx-ssl ({self._version()}, here {VERSION}); {self._remedy}"
            )

    def _version(self) -> int:
        return self._count("PRAGMA user_version")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:  # an interrupt, too; it is raised again
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        """What SQLite says, in words; of a full disk too."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunError(
                    f"{self.path}: another process is updating it; wait for it, or choose another --out"
                ) from None
            raise RunError(f"{self.path}: cannot be used ({error})") from None
        except sqlite3.DatabaseError as error:
            raise RunError(f"{self.path}: damaged ({error}); {self._remedy}") from None

    @property
    def _remedy(self) -> str:
        return f"delete {self.path.parent} and listen again"


def _key(recording: Recording) -> bytes:
    """What a recording is known by, in 16 bytes."""
    part = f"\0{float(recording.start_s)}\0{recording.end_s and float(recording.end_s)}".encode()
    return hashlib.blake2b(os.fsencode(recording.path) + part, digest_size=16).digest()


def _recording(name: str, path: bytes, start_s: float, end_s: float, size: int, changed: str) -> Recording:
    return Recording(name, os.fsdecode(path), start_s, None if math.isinf(end_s) else end_s, size, changed)
