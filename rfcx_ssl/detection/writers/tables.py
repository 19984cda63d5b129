"""Scores of recordings and windows, and what could not be read."""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import CsvTable, ParquetTable
from rfcx_ssl.detection.writers.when_where import WhenWhere, csv_cells
from rfcx_ssl.files import guard_cell

SCORE_COLUMNS = ("recording", "heard_s", "silent_s")
WINDOW_COLUMNS = ("recording", "start_s", "end_s")
ERROR_COLUMNS = ("file", "heard_s", "error")


class ScoreCsv(CsvTable):
    """scores.csv: one row per recording that was heard, one score per species."""

    def __init__(self, path: Path, species_names: Sequence[str], when_where: WhenWhere) -> None:
        super().__init__(path, (*SCORE_COLUMNS, *when_where.columns, *species_names))
        self._when_where = when_where

    def add(self, result: Result) -> None:
        """Append the recording's row."""
        if result.clip is not None:
            more = csv_cells(self._when_where.of(result)(*_heard(result)))
            scores = [f"{score:.5f}" for score in result.clip.tolist()]
            seconds = f"{result.heard_s:.3f}", f"{result.silent_s:.3f}"
            self.write((guard_cell(result.recording), *seconds, *more, *scores))


class ScoreParquet(ParquetTable):
    """scores.parquet: the same with types."""

    def __init__(self, path: Path, species_names: Sequence[str], when_where: WhenWhere) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64())
        fields = [pa.field(name, kind) for name, kind in zip(SCORE_COLUMNS, kinds, strict=True)]
        fields += when_where.schema_fields()
        super().__init__(path, pa.schema([*fields, *(pa.field(name, pa.float32()) for name in species_names)]))
        self._when_where = when_where

    def add(self, result: Result) -> None:
        """Append the recording's row."""
        if result.clip is not None:
            more = self._when_where.of(result)(*_heard(result))
            self.write((result.recording, result.heard_s, result.silent_s, *more, *result.clip.tolist()))


class WindowCsv(CsvTable):
    """windows.csv: one row per window, one score per species; the last window of a recording ends with it."""

    def __init__(self, path: Path, species_names: Sequence[str], window_s: float) -> None:
        super().__init__(path, (*WINDOW_COLUMNS, *species_names))
        self._window_s = window_s

    def add(self, result: Result) -> None:
        """Append the windows."""
        name = guard_cell(result.recording)
        for (start_s, end_s), scores in zip(
            windows_of(result, self._window_s), result.arrays.get("window_scores", ()), strict=True
        ):
            self.write((name, f"{start_s:.3f}", f"{end_s:.3f}", *(f"{score:.5f}" for score in scores.tolist())))


class WindowParquet(ParquetTable):
    """windows.parquet: the same with types."""

    def __init__(self, path: Path, species_names: Sequence[str], window_s: float) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64())
        fields = [pa.field(name, kind) for name, kind in zip(WINDOW_COLUMNS, kinds, strict=True)]
        super().__init__(path, pa.schema([*fields, *(pa.field(name, pa.float32()) for name in species_names)]))
        self._window_s = window_s

    def add(self, result: Result) -> None:
        """Append the windows."""
        for times, scores in zip(
            windows_of(result, self._window_s), result.arrays.get("window_scores", ()), strict=True
        ):
            self.write((result.recording, *times, *scores.tolist()))


class ErrorCsv(CsvTable):
    """errors.csv: files that could not be read to their end, and why; absent where there are none."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, ERROR_COLUMNS)
        self._problems = 0

    @property
    def is_there(self) -> bool:
        """Nothing can be said of a table that is absent where there are no errors."""
        return True

    def add(self, result: Result) -> None:
        """Append a recording that has a problem."""
        if result.problem is not None:
            self._problems += 1
            self.write((guard_cell(result.path), f"{result.heard_s:.3f}", guard_cell(result.problem)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None and not self._problems:
            self.path.unlink()


def windows_of(result: Result, window_s: float) -> list[tuple[float, float]]:
    """Start and end of every window of a recording, in seconds from the start of its file.

    Windows of lengths of their own have their ends under ``windows_end_s``.
    """
    last_s = _heard(result)[1]
    starts_s = result.arrays["windows_s"].tolist() if "windows_s" in result.arrays else []
    if "windows_end_s" in result.arrays:
        return list(zip(starts_s, result.arrays["windows_end_s"].tolist(), strict=True))
    return [(start_s, min(start_s + window_s, last_s)) for start_s in starts_s]


def _heard(result: Result) -> tuple[float, float]:
    return result.start_s, result.start_s + result.heard_s
