"""What a manifest folder knows about its recordings, in SQLite: survives a kill, and needs no memory per file.

Only the process that builds writes here; workers return results. The file is a cache: without it a build decodes
everything again and writes the same manifests (what depends on the past it reads back from the manifests themselves,
:mod:`rfcx_ssl.manifest.placed`).
"""

import dataclasses
import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rfcx_ssl.batching import batched
from rfcx_ssl.errors import ManifestError
from rfcx_ssl.files import write_text
from rfcx_ssl.manifest.headers import Header
from rfcx_ssl.manifest.prepare import Prepared
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.provenance import file_sha256
from rfcx_ssl.workers import DEATH

logger = logging.getLogger(__name__)

BATCH = 1000
VERSION = 1  # of the tables below
_SCHEMA = """
CREATE TABLE IF NOT EXISTS recordings (
    recording_id TEXT PRIMARY KEY, path TEXT, size_bytes INT, mtime_ns INT, seen INT,
    header TEXT, prepared TEXT, problem TEXT,
    frames INT, sample_rate_hz INT, channels INT, format TEXT, subtype TEXT,
    named_site TEXT, named_recorder TEXT, start_time TEXT, site TEXT, recorder TEXT, excluded INT DEFAULT 0, grp TEXT, split TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    recording_id TEXT, idx INT, start_samples INT, num_samples INT,
    peak REAL, rms REAL, clipped_share REAL, audio_hash TEXT, status TEXT, used INT, split TEXT,
    PRIMARY KEY (recording_id, idx)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
"""
# a changed or unseen file starts again; a moved one (same id, size and time) keeps its segments
_SEE = """
INSERT INTO recordings (recording_id, path, size_bytes, mtime_ns, seen, problem) VALUES (?, ?, ?, ?, 1, ?)
ON CONFLICT (recording_id) DO UPDATE SET
    header = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns THEN header END,
    prepared = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns THEN prepared END,
    problem = CASE WHEN size_bytes = excluded.size_bytes AND mtime_ns = excluded.mtime_ns AND excluded.problem = ''
        THEN problem ELSE excluded.problem END,
    path = excluded.path, size_bytes = excluded.size_bytes, mtime_ns = excluded.mtime_ns, seen = 1
"""


class BuildState:
    """The recordings and segments of one manifest folder; see :func:`open_state`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def see(self, found: Iterable[Found]) -> None:
        """Record the files that exist now, and no others; new and changed ones lose what was known about them."""
        self.connection.execute("UPDATE recordings SET seen = 0")
        self.add(found)

    def add(self, found: Iterable[Found]) -> None:
        """Record more files that exist now."""
        rows = ((f.recording_id, f.path, f.size_bytes, f.mtime_ns, f.problem) for f in found)
        for batch in batched(rows, BATCH):
            self.connection.executemany(_SEE, batch)
        self.connection.commit()

    def forget_unseen(self) -> Iterator[str]:
        """Drop recordings whose files are gone; yields their ids."""
        for (recording_id,) in self.pages("SELECT recording_id FROM recordings WHERE seen = 0"):
            self.connection.execute("DELETE FROM segments WHERE recording_id = ?", (recording_id,))
            self.connection.execute("DELETE FROM recordings WHERE recording_id = ?", (recording_id,))
            yield recording_id
        self.connection.commit()

    def drop_unusable(self) -> Iterator[str]:
        """Drop the segments of recordings that were sound once and now have a problem; yields their ids."""
        for (recording_id,) in self.pages("SELECT recording_id FROM recordings WHERE problem <> ''"):
            if self.connection.execute("DELETE FROM segments WHERE recording_id = ?", (recording_id,)).rowcount:
                yield recording_id
        self.connection.commit()

    def without_header(self, key: str) -> Iterator[tuple[str, str]]:
        """``(recording_id, path)`` of files whose header is to be scanned: not yet, under another key, or in vain."""
        new = "header IS NULL AND problem = ''"
        condition = f"({new} OR header <> ? OR (header IS NOT NULL AND prepared IS NULL AND problem NOT IN ('', ?)))"
        return self.pages(f"SELECT recording_id, path FROM recordings WHERE seen AND {condition}", (key, DEATH))

    def unprepared(self, key: str) -> Iterator[tuple[str, str, int, int]]:
        """``(recording_id, path, frames, sample_rate_hz)`` of sound headers whose segments are not those of ``key``."""
        return self.pages(
            "SELECT recording_id, path, frames, sample_rate_hz FROM recordings "
            "WHERE seen AND problem = '' AND prepared IS NOT ?",
            (key,),
        )

    def save_headers(self, headers: Iterable[Header], key: str) -> None:
        """Store scanned headers."""
        names = "problem frames sample_rate_hz channels format subtype site recorder start_time".split()
        columns = [{"site": "named_site", "recorder": "named_recorder"}.get(name, name) for name in names]
        rows = [(key, *(getattr(header, name) for name in names), header.recording_id) for header in headers]
        self.connection.executemany(
            # what was prepared stays, unless preparing is what failed
            "UPDATE recordings SET header = ?, prepared = CASE WHEN problem = '' THEN prepared END, "
            f"{', '.join(f'{name} = ?' for name in columns)} WHERE recording_id = ?",
            rows,
        )
        self.connection.commit()

    def save_prepared(self, prepared: Iterable[Prepared], key: str) -> None:
        """Store the segments of finished recordings, all of a recording in one transaction.

        Audio that was there before keeps its side of the split (:mod:`rfcx_ssl.manifest.flags` asks for it).
        """
        for item in prepared:
            before = "SELECT audio_hash, split FROM segments WHERE recording_id = ? ORDER BY split"  # used ones last
            placed = dict(self.connection.execute(before, (item.recording_id,)))
            rows = [
                (item.recording_id, *dataclasses.astuple(segment), placed.get(segment.audio_hash or "", ""))
                for segment in item.segments
            ]
            self.connection.execute("DELETE FROM segments WHERE recording_id = ?", (item.recording_id,))
            self.connection.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, ?, '', 0, ?)", rows)
            self.connection.execute(
                "UPDATE recordings SET prepared = ?, problem = ? WHERE recording_id = ?",
                (None if item.is_gone else key, item.problem, item.recording_id),
            )
        self.connection.commit()

    def retry_problems(self) -> None:
        """Forget every problem, so that this build tries those files again."""
        self.connection.execute(
            "UPDATE recordings SET header = NULL, prepared = NULL, problem = '' WHERE problem <> ''"
        )
        self.connection.commit()

    def pages(self, select: str, parameters: tuple[Any, ...] = ()) -> Iterator[Any]:
        """Rows of ``SELECT recording_id, ... FROM recordings [WHERE ...]`` in id order, read a page at a time.

        A page is read whole before it is handed out, so the caller may write in between.
        """
        joiner = "AND" if " WHERE " in select else "WHERE"
        query = f"{select} {joiner} recording_id > ? ORDER BY recording_id LIMIT {BATCH}"
        last = ""
        while page := self.connection.execute(query, (*parameters, last)).fetchall():
            yield from page
            last = page[-1][0]

    def count(self, query: str, parameters: tuple[Any, ...] = ()) -> int:
        """The single number a query gives; 0 for none."""
        row = self.connection.execute(query, parameters).fetchone()
        return int(row[0] or 0) if row else 0

    def fact(self, name: str) -> str | None:
        """A remembered decision, or None."""
        row = self.connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return None if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Keep a decision for later builds in this folder."""
        self.connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))
        self.connection.commit()


@contextmanager
def open_state(folder: Path) -> Iterator[BuildState]:
    """Open the state below a manifest folder, for one process at a time. A damaged one is set aside, which is said.

    SQLite finds damage to its structure, not to what it holds. So a state that is closed in order is sealed with its
    checksum, and what is opened must be what was sealed; a build that was killed leaves no seal.

    Raises:
        ManifestError: another build has it open, another version made it, or the disk is full.
    """
    path = folder / ".state" / "state.sqlite"
    seal = path.with_suffix(".sha256")
    path.parent.mkdir(parents=True, exist_ok=True)
    connection: sqlite3.Connection | None = None
    try:
        connection = _connect(path, seal)
        seal.unlink(missing_ok=True)
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if found not in (0, VERSION):
            raise ManifestError(f"{path}: made by another version of rfcx-ssl ({found}); delete it and build again")
        connection.executescript(f"BEGIN EXCLUSIVE; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        yield BuildState(connection)
        connection.commit()
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise ManifestError(
                f"{folder}: another build is running there; wait for it, or choose another --out"
            ) from None
        if "full" in str(error) or "I/O" in str(error):
            raise ManifestError(f"{path}: {error}; nothing is lost, run the same command again") from None
        raise
    except sqlite3.DatabaseError as error:
        raise ManifestError(f"{path}: not a usable database ({error}); delete it and build again") from None
    finally:
        if connection is not None:
            connection.close()
            with suppress(OSError):  # without a seal there is less to find damage by, no more
                write_text(seal, file_sha256(path))


def _connect(path: Path, seal: Path) -> sqlite3.Connection:
    """A connection that holds the only lock on a sound database."""
    # before the lock: it would go when a file that it is on is closed
    intact = not (seal.is_file() and path.is_file()) or seal.read_bytes() == file_sha256(path).encode()
    connection = _locked(path)
    damage = _damage(connection) or ("" if intact else "it is not what the last build left")
    if damage:
        connection.close()
        aside = path.with_suffix(".damaged")
        logger.warning(
            "%s: damaged (%s); moved to %s, and everything is decoded again: nothing changes sides",
            path,
            damage,
            aside,
        )
        path.replace(aside)
        path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
        connection = _locked(path)
    return connection


def _locked(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=0.5)
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    return connection


def _damage(connection: sqlite3.Connection) -> str:
    """What is wrong with the structure of a database, or nothing; takes the lock."""
    try:
        connection.executescript("PRAGMA synchronous = NORMAL; BEGIN EXCLUSIVE; COMMIT;")
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        return "" if found == "ok" else " ".join(found.split())
    except sqlite3.OperationalError as error:
        if any(word in str(error) for word in ("locked", "full", "I/O", "unable to open")):
            connection.close()
            raise
        return str(error)
    except sqlite3.DatabaseError as error:
        return str(error)
