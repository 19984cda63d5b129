"""Which stretches of which recordings: a table of events on the disk, in any order, without keeping it in memory."""

import sqlite3
from pathlib import Path

from rfcx_ssl.errors import AnnotationError, some_of
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number

MOST_NAMED = 3


class EventList:
    """``recording, start_s, end_s`` of a CSV table (that of ``rfcx-ssl detect``, for one), asked for by recording.

    Raises:
        AnnotationError: the table cannot be read, or a time in it is none; file and line are named.
    """

    def __init__(self, table: Path, scratch: Path) -> None:
        self.table = table
        self._connection = sqlite3.connect(scratch, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = OFF")  # it is thrown away
        self._connection.execute("CREATE TABLE events (recording TEXT, start_s REAL, end_s REAL, line INT, used INT)")
        self._connection.execute("BEGIN")
        for line, cells in iter_csv(table, ("recording", "start_s", "end_s"), None):
            start_s, end_s = (self._seconds(line, key, cells[key]) for key in ("start_s", "end_s"))
            if not 0 <= start_s < end_s:
                raise AnnotationError(f"{table}:{line}: need 0 <= start_s < end_s, got {start_s:g} and {end_s:g}")
            row = (cells["recording"], start_s, end_s, line)
            self._connection.execute("INSERT INTO events VALUES (?, ?, ?, ?, 0)", row)
        self._connection.execute("CREATE INDEX of_recording ON events (recording, line)")
        self._connection.execute("COMMIT")

    def of(self, recording: str) -> list[tuple[float, float]]:
        """Start and end of every event of a recording in seconds, as they come in the table."""
        query = "SELECT start_s, end_s FROM events WHERE recording = ? ORDER BY line"
        return list(self._connection.execute(query, (recording,)))

    def mark(self, recording: str) -> None:
        """A recording of this name is there."""
        self._connection.execute("UPDATE events SET used = 1 WHERE recording = ?", (recording,))

    def require_all_marked(self) -> None:
        """Refuse a table of other recordings.

        Raises:
            AnnotationError: some of its recordings are not there.
        """
        query = "SELECT DISTINCT recording FROM events WHERE used = 0 ORDER BY line"
        missing = [name for (name,) in self._connection.execute(query).fetchmany(100)]
        if missing:
            raise AnnotationError(f"{self.table}: no such recording among FILES: {some_of(missing, MOST_NAMED)}")

    def close(self) -> None:
        """Let go of the scratch file."""
        self._connection.close()

    def _seconds(self, line: int, key: str, text: str) -> float:
        try:
            return parse_number(key, text)
        except ValueError as error:
            raise AnnotationError(f"{self.table}:{line}: {error}") from None
