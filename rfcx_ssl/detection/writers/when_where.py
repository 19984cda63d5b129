"""The columns of time and place that every table ends in: ISO 8601 to the millisecond, site, degrees.

``start_time`` and ``end_time`` are always there, and empty where the recorder's clock is unknown; the place's columns are
there where a table of recordings is given, and empty where it says nothing. So the columns depend on the command, never
on what it finds, and the tables of all nights fit together.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

from rfcx_ssl.annotations.exchange import CLOCK_COLUMNS, PLACE_COLUMNS
from rfcx_ssl.detection.recording_table import RecordingTable
from rfcx_ssl.detection.result import Result
from rfcx_ssl.files import guard_cell
from rfcx_ssl.manifest.metadata import add_seconds

Cell: TypeAlias = str | float | None
#: Cells of a stretch of a recording, from its start and end in seconds.
Cells: TypeAlias = Callable[[float, float], tuple[Cell, ...]]


class WhenWhere:
    """Cells of time and place, in the order of ``columns``; None is not known."""

    def __init__(self, table: RecordingTable | None = None) -> None:
        self.table = table
        self.columns = CLOCK_COLUMNS if table is None else (*CLOCK_COLUMNS, *PLACE_COLUMNS)

    def of(self, result: Result) -> Cells:
        """The cells of any stretch of this recording; what the table says of its start is taken before its header."""
        place = None if self.table is None else self.table.find(result.recording, result.path)
        start = result.recorded_at if place is None or not place.knows_day else place.recorded_at
        where = () if self.table is None else (place.site, place.latitude, place.longitude) if place else (None,) * 3
        return lambda start_s, end_s: (_clock(start, start_s), _clock(start, end_s), *where)

    def schema_fields(self) -> list[Any]:
        """The same columns for Parquet."""
        import pyarrow as pa

        kinds = (pa.string(), pa.string(), pa.string(), pa.float64(), pa.float64())
        return [pa.field(name, kind) for name, kind in zip(self.columns, kinds, strict=False)]


def csv_cells(cells: tuple[Cell, ...]) -> list[str]:
    """The cells as text for CSV."""
    return ["" if cell is None else guard_cell(cell) if isinstance(cell, str) else str(cell) for cell in cells]


def _clock(recorded_at: str | None, seconds: float) -> str | None:
    moment = add_seconds(recorded_at, seconds)
    return None if moment is None else datetime.fromisoformat(moment).isoformat(timespec="milliseconds")
