"""Event tables: CSV, Parquet, Raven selection tables, Audacity label tracks. Files appear whole or not at all."""

import csv
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from rfcx_ssl.files import atomic_path, write_text
from rfcx_ssl.inference.stream import Event

COLUMNS = ("recording", "start_s", "end_s", "species", "score", "f_min", "f_max")
RAVEN_COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Species",
    "Score",
)


class EventWriter(Protocol):
    """Takes the events of one recording after the other; a context manager, complete when it exits."""

    def __enter__(self) -> "EventWriter":
        """Open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish, or remove what is incomplete after an error."""

    def add(self, recording: str, events: Sequence[Event]) -> None:
        """Write the events of one recording, possibly none."""


class _OneFile(ABC):
    """A table of all recordings in one file, put in place at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stack = ExitStack()

    def __enter__(self) -> "_OneFile":
        self._open(self._stack.enter_context(atomic_path(self.path)), self._stack)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def _open(self, temporary: Path, stack: ExitStack) -> None:
        """Start the file; what must be closed goes on the stack."""

    @abstractmethod
    def add(self, recording: str, events: Sequence[Event]) -> None:
        """Write the events of one recording, possibly none."""


class CsvWriter(_OneFile):
    """events.csv: seconds and hertz; an unknown band is empty."""

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        lines: IO[str] = stack.enter_context(temporary.open("w", newline="", encoding="utf-8"))
        self._writer = csv.writer(lines)
        self._writer.writerow(COLUMNS)

    def add(self, recording: str, events: Sequence[Event]) -> None:
        """Append the events."""
        for e in events:
            band = ("", "") if e.f_min_hz is None or e.f_max_hz is None else (f"{e.f_min_hz:g}", f"{e.f_max_hz:g}")
            row = (e.recording, f"{e.start_s:.3f}", f"{e.end_s:.3f}", e.species, f"{e.score:.4f}", *band)
            self._writer.writerow(row)


class ParquetWriter(_OneFile):
    """events.parquet, the same columns with types; one row group per recording with events."""

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.float32(), pa.float32(), pa.float32())
        self._schema = pa.schema(list(zip(COLUMNS, kinds, strict=True)))
        self._writer: Any = stack.enter_context(pq.ParquetWriter(temporary, self._schema))

    def add(self, recording: str, events: Sequence[Event]) -> None:
        """Append the events."""
        import pyarrow as pa

        if events:
            rows = [dict(zip(COLUMNS, asdict(event).values(), strict=True)) for event in events]
            self._writer.write_table(pa.Table.from_pylist(rows, schema=self._schema))


class _FilePerRecording(ABC):
    """A file of its own for every recording, under a folder."""

    suffix = ""

    def __init__(self, folder: Path, nyquist_hz: float) -> None:
        self.folder, self.nyquist_hz = folder, nyquist_hz

    def __enter__(self) -> "_FilePerRecording":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Every file is complete already."""
        return None

    def add(self, recording: str, events: Sequence[Event]) -> None:
        """Write the recording's file, also when nothing was found in it."""
        path = self.folder / f"{recording}{self.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, "".join(self.lines(events)))

    @abstractmethod
    def lines(self, events: Sequence[Event]) -> list[str]:
        """The whole text of one recording, line by line."""

    def band(self, event: Event) -> tuple[float, float]:
        """The event's band, the whole spectrum where it is not known."""
        if event.f_min_hz is None or event.f_max_hz is None:
            return 0.0, self.nyquist_hz
        return event.f_min_hz, event.f_max_hz


class RavenWriter(_FilePerRecording):
    """Selection tables for Raven: tab-separated, one selection per event."""

    suffix = ".selections.txt"

    def lines(self, events: Sequence[Event]) -> list[str]:
        """The header and one line per event."""
        rows = ["\t".join(RAVEN_COLUMNS)]
        for number, e in enumerate(events, start=1):
            low, high = self.band(e)
            rows.append(
                f"{number}\tSpectrogram 1\t1\t{e.start_s:.3f}\t{e.end_s:.3f}\t{low:g}\t{high:g}\t{e.species}\t{e.score:.4f}"
            )
        return [f"{row}\n" for row in rows]


class AudacityWriter(_FilePerRecording):
    """Label tracks for Audacity, with the frequency range on the line after each label."""

    suffix = ".labels.txt"

    def lines(self, events: Sequence[Event]) -> list[str]:
        """Two lines per event."""
        rows = []
        for e in events:
            low, high = self.band(e)
            rows.append(f"{e.start_s:.6f}\t{e.end_s:.6f}\t{e.species} {e.score:.2f}\n\\\t{low:.1f}\t{high:.1f}\n")
        return rows


def open_writers(formats: Sequence[str], out: Path, nyquist_hz: float) -> list[EventWriter]:
    """A writer for each of ``formats`` (names of ``settings.FORMATS``), below ``out``."""
    makers: dict[str, Callable[[], EventWriter]] = {
        "csv": lambda: CsvWriter(out / "events.csv"),
        "parquet": lambda: ParquetWriter(out / "events.parquet"),
        "raven": lambda: RavenWriter(out / "raven", nyquist_hz),
        "audacity": lambda: AudacityWriter(out / "audacity", nyquist_hz),
    }
    return [makers[name]() for name in dict.fromkeys(formats)]
