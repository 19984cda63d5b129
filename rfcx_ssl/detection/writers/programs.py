"""Events as tables of other programs: Raven, Audacity, Kaleidoscope, BirdNET-Analyzer; our own readers take them back.

Columns: Raven's knowledge base ("Selection tables"); Kaleidoscope Pro's user guide ("Output CSV files"); the combined
results of https://github.com/birdnet-team/BirdNET-Analyzer.
"""

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path

from rfcx_ssl.annotations.audio_index import without_suffix
from rfcx_ssl.annotations.exchange import RAVEN_BAND, RAVEN_TIMES
from rfcx_ssl.annotations.kinds.birdnet import CSV as BIRDNET_COLUMNS
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import CsvTable, FilePerRecording
from rfcx_ssl.files import guard_cell

RAVEN_COLUMNS = ("Selection", "View", "Channel", *RAVEN_TIMES, *RAVEN_BAND, "Species", "Score")
KALEIDOSCOPE_COLUMNS = (
    "INDIR", "FOLDER", "IN FILE", "CHANNEL", "OFFSET", "DURATION", "AUTO ID", "MATCH RATIO", "MANUAL ID",
)  # fmt: skip


class Raven(FilePerRecording):
    """Selection tables for Raven: tab-separated, one selection per event."""

    suffix = ".selections.txt"

    def text(self, result: Result) -> str:
        """The header and one line per event."""
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")  # quotes only what would be misread
        writer.writerow(RAVEN_COLUMNS)
        for number, e in enumerate(result.events, start=1):
            times = (f"{e.box.start_s:.3f}", f"{e.box.end_s:.3f}")
            band = (f"{hz:g}" for hz in _band(e, self.nyquist_hz))
            writer.writerow((number, "Spectrogram 1", 1, *times, *band, e.species, f"{e.score:.4f}"))
        return text.getvalue()


class Audacity(FilePerRecording):
    """Label tracks for Audacity, with the frequency range on the line after each label."""

    suffix = ".labels.txt"

    def text(self, result: Result) -> str:
        """Two lines per event."""
        rows = []
        for e in result.events:
            low, high = _band(e, self.nyquist_hz)
            rows.append(f"{e.box.start_s:.6f}\t{e.box.end_s:.6f}\t{e.species} {e.score:.2f}\n")
            rows.append(f"\\\t{low:.1f}\t{high:.1f}\n")
        return "".join(rows)


#: By the name of the format and of its folder.
OF_EACH: Mapping[str, type[FilePerRecording]] = {"raven": Raven, "audacity": Audacity}


class Kaleidoscope(CsvTable):
    """kaleidoscope.csv: what Kaleidoscope Pro opens as its results; ``MANUAL ID`` is left for a person."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, KALEIDOSCOPE_COLUMNS)

    def add(self, result: Result) -> None:
        """Append the events."""
        place = [guard_cell(part) for part in _folders(result)]
        for e in result.events:
            times = (f"{e.box.start_s:.3f}", f"{e.box.duration_s:.3f}")
            self.write((*place, 0, *times, guard_cell(e.species), f"{e.score:.4f}", ""))


class BirdNet(CsvTable):
    """birdnet.csv: the columns of BirdNET-Analyzer's combined results, for what is made to read those."""

    def __init__(self, path: Path, scientific_names: Mapping[str, str]) -> None:
        super().__init__(path, (*BIRDNET_COLUMNS, "File"))
        self._scientific = scientific_names

    def add(self, result: Result) -> None:
        """Append the events."""
        file = guard_cell(result.path)
        for e in result.events:
            names = guard_cell(self._scientific.get(e.species, e.species)), guard_cell(e.species)
            self.write((f"{e.box.start_s:.3f}", f"{e.box.end_s:.3f}", *names, f"{e.score:.4f}", file))


def _band(event: Detection, nyquist_hz: float) -> tuple[float, float]:
    """The event's band, the whole spectrum where it is not known."""
    return (event.box.low_hz, event.box.high_hz) if event.box.has_band else (0.0, nyquist_hz)


def _folders(result: Result) -> tuple[str, str, str]:
    """The searched folder, the folder of the recording below it (as its name says), and the file."""
    path = result.path.replace(os.sep, "/")
    above, _, file = path.rpartition("/")
    if without_suffix(path).endswith(f"/{result.recording}"):
        folder = result.recording.rpartition("/")[0]
        return above[: len(above) - len(folder)].rstrip("/") or "/", folder, file
    return above, "", file
