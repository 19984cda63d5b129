"""When a recording was made: from the columns of recordings.csv, else from the date in its name.

===============================  ==============================================
source                           example
===============================  ==============================================
column ``datetime``              ``2023-04-15T05:30:00``, ``2023-04-15 05:30``
columns ``date`` and ``time``    ``2023-04-15`` and ``05:30``; time may be empty
a date anywhere in the name      ``SITE1_20230415_053000``, ``2023-04-15T05-30-00_part2``, ``20230415053000``
an AudioMoth's hexadecimal name  ``5E1A2B3C`` (seconds since 1970, UTC)
===============================  ==============================================

Times are those of the recorder's clock: an offset from UTC is not looked at.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import PurePosixPath

from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.manifest.metadata import parse_name

_STAMP = re.compile(
    r"(?<!\d)(?P<year>(?:19|20)\d\d)(?P<gap>[-_.]?)(?P<month>\d\d)(?P=gap)(?P<day>\d\d)"
    r"(?:[-_.T ]{0,2}(?P<hour>\d\d)[-_.:h]?(?P<minute>\d\d)(?:[-_.:m]?(?P<second>\d\d))?)?(?!\d)"
)
NOTHING: Mapping[str, str] = {}


def recorded_at(recording_id: str, row: Mapping[str, str] = NOTHING, table: str = RECORDINGS_TABLE) -> datetime | None:
    """Day and time of day at which a recording starts, without a zone; None where the time of day is not known.

    Args:
        recording_id: the recording's name, folders included or not, without suffix.
        row: its cells in ``table``, by column; columns that are empty or not there say nothing.
        table: what the table is called.

    Raises:
        AnnotationError: a cell that is filled but is no date or no time.
    """
    day, clock = _recorded(recording_id, row, table)
    return None if day is None or clock is None else datetime.combine(day, clock)


def recorded_on(recording_id: str, row: Mapping[str, str] = NOTHING, table: str = RECORDINGS_TABLE) -> date | None:
    """Day on which a recording starts, also where its time of day is not known; arguments of :func:`recorded_at`."""
    return _recorded(recording_id, row, table)[0]


def _recorded(recording_id: str, row: Mapping[str, str], table: str) -> tuple[date | None, time | None]:
    """The table's word comes first; a table that gives the day alone takes no time from the name."""
    if row.get("datetime"):
        found = _cell(recording_id, "datetime", row["datetime"], table)
        return found.date(), found.time().replace(tzinfo=None)
    if row.get("date"):
        day = _cell(recording_id, "date", row["date"], table).date()
        return day, _clock(recording_id, row["time"], table) if row.get("time") else None
    return _named(recording_id)


def _cell(recording_id: str, column: str, text: str, table: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise AnnotationError(
            f"recording {recording_id}: {column}={text!r} in {table} is no date: write 2023-04-15"
            + (" 05:30:00" if column == "datetime" else "")
        ) from None


def _clock(recording_id: str, text: str, table: str) -> time:
    try:
        return time.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        raise AnnotationError(
            f"recording {recording_id}: time={text!r} in {table} is no time of day: write 05:30:00"
        ) from None


def _named(recording_id: str) -> tuple[date | None, time | None]:
    """The first date of the file's name, else that of the folder nearest to it."""
    path = PurePosixPath(recording_id)
    for name in reversed(path.parts):
        for match in _STAMP.finditer(name):
            if day := _date(match):
                return day, _time(match)
    start = parse_name(f"{path.name}.wav").start_time  # dates in plain digits have been found above
    if start is None:
        return None, None
    moment = datetime.fromisoformat(start)
    return moment.date(), moment.time()


def _date(match: re.Match[str]) -> date | None:
    try:
        return date(int(match["year"]), int(match["month"]), int(match["day"]))
    except ValueError:
        return None


def _time(match: re.Match[str]) -> time | None:
    if match["hour"] is None:
        return None
    try:
        return time(int(match["hour"]), int(match["minute"]), int(match["second"] or 0))
    except ValueError:
        return None
