"""Event tables: CSV, Parquet, Raven selection tables, Audacity label tracks. Files appear whole or not at all."""

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Protocol

from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS, RAVEN_BAND, RAVEN_TIMES, SCORE_AT_THE_END
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import atomic_path, write_text

RAVEN_COLUMNS = ("Selection", "View", "Channel", *RAVEN_TIMES, *RAVEN_BAND, "Species", "Score")
LINE_BREAKS = ("\t", "\n", "\r")  # what a cell of a label track cannot hold


class EventWriter(Protocol):
    """Takes the events of one recording after the other; a context manager, complete when it exits."""

    def __enter__(self) -> "EventWriter":
        """Open."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish, or remove what is incomplete after an error."""

    def add(self, recording: str, events: Sequence[Detection]) -> None:
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
    def add(self, recording: str, events: Sequence[Detection]) -> None:
        """Write the events of one recording, possibly none."""


class CsvWriter(_OneFile):
    """events.csv: seconds and hertz; an unknown band is empty."""

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        lines: IO[str] = stack.enter_context(temporary.open("w", newline="", encoding="utf-8"))
        self._writer = csv.writer(lines)
        self._writer.writerow(DETECTION_COLUMNS)

    def add(self, recording: str, events: Sequence[Detection]) -> None:
        """Append the events."""
        for e in events:
            times = (f"{e.box.start_s:.3f}", f"{e.box.end_s:.3f}")
            band = (f"{e.box.low_hz:g}", f"{e.box.high_hz:g}") if e.box.has_band else ("", "")
            self._writer.writerow((e.recording, *times, e.species, f"{e.score:.4f}", *band))


class ParquetWriter(_OneFile):
    """events.parquet, the same columns with types; one row group per recording with events."""

    def _open(self, temporary: Path, stack: ExitStack) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.string(), pa.float32(), pa.float32(), pa.float32())
        self._schema = pa.schema(list(zip(DETECTION_COLUMNS, kinds, strict=True)))
        self._writer: Any = stack.enter_context(pq.ParquetWriter(temporary, self._schema))

    def add(self, recording: str, events: Sequence[Detection]) -> None:
        """Append the events."""
        import pyarrow as pa

        if events:
            cells = [
                (e.recording, e.box.start_s, e.box.end_s, e.species, e.score)
                + ((e.box.low_hz, e.box.high_hz) if e.box.has_band else (None, None))
                for e in events
            ]
            rows = [dict(zip(DETECTION_COLUMNS, row, strict=True)) for row in cells]
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

    def add(self, recording: str, events: Sequence[Detection]) -> None:
        """Write the recording's file, also when nothing was found in it."""
        path = self.folder / f"{recording}{self.suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, self.text(events))

    @abstractmethod
    def text(self, events: Sequence[Detection]) -> str:
        """The whole table of one recording."""

    def band(self, event: Detection) -> tuple[float, float]:
        """The event's band, the whole spectrum where it is not known."""
        return (event.box.low_hz, event.box.high_hz) if event.box.has_band else (0.0, self.nyquist_hz)


class RavenWriter(_FilePerRecording):
    """Selection tables for Raven: tab-separated, one selection per event."""

    suffix = ".selections.txt"

    def text(self, events: Sequence[Detection]) -> str:
        """The header and one line per event."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")  # quotes only what would be misread
        writer.writerow(RAVEN_COLUMNS)
        for number, e in enumerate(events, start=1):
            times = (f"{e.box.start_s:.3f}", f"{e.box.end_s:.3f}")
            band = (f"{hz:g}" for hz in self.band(e))
            writer.writerow((number, "Spectrogram 1", 1, *times, *band, e.species, f"{e.score:.4f}"))
        return text.getvalue()


class AudacityWriter(_FilePerRecording):
    """Label tracks for Audacity, with the frequency range on the line after each label."""

    suffix = ".labels.txt"

    def text(self, events: Sequence[Detection]) -> str:
        """Two lines per event."""
        rows = []
        for e in events:
            low, high = self.band(e)
            rows.append(f"{e.box.start_s:.6f}\t{e.box.end_s:.6f}\t{e.species} {e.score:.2f}\n")
            rows.append(f"\\\t{low:.1f}\t{high:.1f}\n")
        return "".join(rows)


def open_writers(
    formats: Sequence[str], out: Path, species_names: Sequence[str], nyquist_hz: float
) -> list[EventWriter]:
    """A writer for each of ``formats`` (names of ``settings.FORMATS``), below ``out``.

    Raises:
        ConfigError: a species' name would make a label that cannot be read back.
    """
    makers: dict[str, Callable[[], EventWriter]] = {
        "csv": lambda: CsvWriter(out / "events.csv"),
        "parquet": lambda: ParquetWriter(out / "events.parquet"),
        "raven": lambda: RavenWriter(out / "raven", nyquist_hz),
        "audacity": lambda: AudacityWriter(out / "audacity", nyquist_hz),
    }
    if {"raven", "audacity"} & set(formats):
        check_label_texts(species_names)
    return [makers[name]() for name in dict.fromkeys(formats)]


def check_label_texts(species_names: Sequence[str]) -> None:
    """Refuse names that a label track cannot hold, or that read as a shorter name with a score behind it."""
    for name in species_names:
        if any(character in name for character in LINE_BREAKS) or not name.strip():
            raise ConfigError(
                f"species name {name!r}: Raven and Audacity tables need a text without tabs and line breaks"
            )
        if SCORE_AT_THE_END.search(name):
            raise ConfigError(f"species name {name!r}: ends like a score, which Audacity labels put behind the name")
