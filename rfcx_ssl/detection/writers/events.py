"""Events as our own tables: events.csv, events.parquet, events.jsonl."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import CsvTable, ParquetTable, TextFile
from rfcx_ssl.detection.writers.when_where import Cell, WhenWhere, csv_cells
from rfcx_ssl.files import guard_cell


class EventCsv(CsvTable):
    """events.csv: seconds and hertz; an unknown band is empty."""

    def __init__(self, path: Path, when_where: WhenWhere) -> None:
        super().__init__(path, (*DETECTION_COLUMNS, *when_where.columns))
        self._when_where = when_where

    def add(self, result: Result) -> None:
        """Append the events."""
        cells = self._when_where.of(result)
        for e in result.events:
            box = e.box
            times = (f"{box.start_s:.3f}", f"{box.end_s:.3f}")
            band = (f"{box.low_hz:g}", f"{box.high_hz:g}") if box.has_band else ("", "")
            names = guard_cell(result.recording), guard_cell(e.species)
            more = csv_cells(cells(box.start_s, box.end_s))
            self.write((names[0], *times, names[1], f"{e.score:.4f}", *band, *more))


class EventParquet(ParquetTable):
    """events.parquet, the same columns with types; an unknown band is null."""

    def __init__(self, path: Path, when_where: WhenWhere) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.float32(), pa.float32(), pa.float32())
        fields = [pa.field(name, kind) for name, kind in zip(DETECTION_COLUMNS, kinds, strict=True)]
        super().__init__(path, pa.schema([*fields, *when_where.schema_fields()]))
        self._when_where = when_where

    def add(self, result: Result) -> None:
        """Append the events."""
        for row in _rows(result, self._when_where):
            self.write(row)


class EventLines(TextFile):
    """events.jsonl: one event per line, a JSON object with the columns of events.csv; what is unknown is null."""

    def __init__(self, path: Path, when_where: WhenWhere) -> None:
        super().__init__(path)
        self._when_where = when_where
        self._keys = (*DETECTION_COLUMNS, *when_where.columns)

    def _start(self, file: IO[str]) -> None:
        self._file = file

    def add(self, result: Result) -> None:
        """Append the events."""
        for row in _rows(result, self._when_where):
            line = json.dumps(dict(zip(self._keys, row, strict=True)), ensure_ascii=False)
            self._file.write(f"{line}\n")


def _rows(result: Result, when_where: WhenWhere) -> Iterator[tuple[Cell, ...]]:
    """Cells of each event, numbers as numbers."""
    cells = when_where.of(result)
    for e in result.events:
        box = e.box
        band = (box.low_hz, box.high_hz) if box.has_band else (None, None)
        score = round(e.score, 4)
        yield result.recording, box.start_s, box.end_s, e.species, score, *band, *cells(box.start_s, box.end_s)
