"""Detection over many recordings: events, clip scores, what could not be read, pictures, and a record of how."""

import csv
import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

import rfcx_ssl
from rfcx_ssl.audio import AudioInfo, audio_info
from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.sources import find_recordings
from rfcx_ssl.detection.stream import Heard, listen, rate_warning
from rfcx_ssl.detection.writers import open_writers
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import atomic_path, write_text
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.models.modeling import RainforestSedModel

Draw = Callable[[RainforestSedModel, Recording, Heard, DetectSettings, Path], None]


class IncompleteError(AudioError):
    """Everything readable was heard, but not everything was readable; see errors.csv."""

    exit_code = 3


@dataclass(frozen=True)
class DetectRequest:
    """What to listen to, with which model, and what to write."""

    sources: Sequence[Path]
    model: str
    out: Path
    formats: Sequence[str] = ("csv",)
    draw: Draw | None = None  # makes a picture of each recording
    device: str = "auto"


@dataclass
class _Tally:
    """Counts for the summary and detect.json."""

    events: int = 0
    audio_s: float = 0.0
    problems: int = 0
    warnings: list[str] = field(default_factory=list)


def detect(request: DetectRequest, settings: DetectSettings, console: Console) -> None:
    """Listen to all recordings of ``request`` and write everything below ``request.out``.

    Raises:
        IncompleteError: after all is written, if a recording could not be read to its end (exit code 3).
        RfcxError: the model cannot be used, or there is nothing to listen to.
    """
    recordings = find_recordings([str(source) for source in request.sources])
    detector = Detector(request, settings, console)
    started = time.perf_counter()
    detector.listen_to_all(recordings)
    detector.summarize(len(recordings), time.perf_counter() - started)


class Detector:
    """One model, its settings, and the tables that are being written."""

    def __init__(self, request: DetectRequest, settings: DetectSettings, console: Console) -> None:
        self.request, self.settings, self.console = request, settings, console
        self.model = load_model(request.model, request.device)
        self.tally = _Tally()
        request.out.mkdir(parents=True, exist_ok=True)

    def listen_to_all(self, recordings: Sequence[Recording]) -> None:
        """Write the event tables, scores.csv, errors.csv (only if needed) and pictures."""
        out, species = self.request.out, self.model.space.species_names
        infos = [_header(recording) for recording in recordings]
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with ExitStack() as stack:
            nyquist_hz = self.model.config.sample_rate_hz / 2
            writers = [stack.enter_context(w) for w in open_writers(self.request.formats, out, species, nyquist_hz)]
            scores = _open_table(stack, out / "scores.csv", ("recording", "heard_s", *species))
            errors = _open_table(stack, out / "errors.csv", ("file", "heard_s", "error"))
            bar = stack.enter_context(Progress(*columns, console=self.console, disable=not self.console.is_terminal))
            task = bar.add_task("listening", total=sum(info.duration_s for info in infos if info))
            for recording, info in zip(recordings, infos, strict=True):
                heard = self._listen(recording, info, bar, task)
                if heard.clip is not None:
                    for writer in writers:
                        writer.add(recording.name, heard.events)
                    scores.writerow([recording.name, f"{heard.heard_s:.3f}", *(f"{p:.5f}" for p in heard.clip)])
                if heard.problem is not None:
                    errors.writerow([str(recording.path), f"{heard.heard_s:.3f}", heard.problem])
        if not self.tally.problems:
            (out / "errors.csv").unlink()

    def summarize(self, num_recordings: int, seconds: float) -> None:
        """Write detect.json and say what was found; raise if not all was heard."""
        tally, out = self.tally, self.request.out
        record = {
            "rfcx_ssl": rfcx_ssl.__version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "model": self.request.model,
            "sources": [str(source.absolute()) for source in self.request.sources],
            "sample_rate_hz": self.model.config.sample_rate_hz,
            "frame_s": self.model.grid.frame_s,
            "settings": settings_dict(self.settings),
            "windows": windows_in_force(self.model, self.settings)._asdict(),
            "recordings": num_recordings,
            "unreadable": tally.problems,
            "audio_s": round(tally.audio_s, 3),
            "events": tally.events,
            "seconds": round(seconds, 2),
            "warnings": tally.warnings,
        }
        write_text(out / "detect.json", json.dumps(record, indent=1))
        speed = f"{tally.audio_s:.0f} s of audio in {seconds:.1f} s ({tally.audio_s / seconds:.0f} times real time)"
        self.console.print(
            f"{tally.events} events in {num_recordings} recordings, {speed}: {out}", highlight=False, soft_wrap=True
        )
        if tally.problems:
            raise IncompleteError(
                f"{tally.problems} of {num_recordings} recordings could not be read whole: {out / 'errors.csv'}"
            )

    def _listen(self, recording: Recording, info: AudioInfo | None, bar: Progress, task: TaskID) -> Heard:
        """One recording: warn, listen, count, draw."""
        bar.update(task, description=recording.name[-40:])
        warning = rate_warning(info.sample_rate_hz, str(recording.path), self.model) if info else None
        if warning:
            self.tally.warnings.append(warning)
            self.console.print(f"warning: {warning}", highlight=False, soft_wrap=True)
        heard = listen(
            self.model, Path(recording.path), recording.name, self.settings, lambda seconds: bar.advance(task, seconds)
        )
        self.tally.events += len(heard.events)
        self.tally.audio_s += heard.heard_s
        if heard.problem is not None:
            self.tally.problems += 1
            self.console.print(f"error: {heard.problem}", highlight=False, soft_wrap=True)
        if self.request.draw is not None and heard.heard_s > 0:
            path = self.request.out / "pictures" / f"{recording.name}.png"
            self.request.draw(self.model, recording, heard, self.settings, path)
        return heard


def _header(recording: Recording) -> AudioInfo | None:
    """The file's header; None where it has none (listening will say why)."""
    try:
        return audio_info(recording.path, partial=True)
    except AudioError:
        return None


def _open_table(stack: ExitStack, path: Path, columns: Sequence[str]) -> Any:  # noqa: ANN401 - csv's writer has no name
    """A CSV file with a header, put in place when ``stack`` closes."""
    temporary = stack.enter_context(atomic_path(path))
    writer = csv.writer(stack.enter_context(temporary.open("w", newline="", encoding="utf-8")))
    writer.writerow(columns)
    return writer
