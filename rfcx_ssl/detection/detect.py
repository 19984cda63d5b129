"""Detection over many recordings: events, clip scores, what could not be read, pictures, and a record of how."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TaskProgressColumn, TextColumn, TimeRemainingColumn

import rfcx_ssl
from rfcx_ssl.audio import AudioInfo, audio_info
from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.recordings import Recording, find_recordings
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.stream import Heard, listen, rate_warning
from rfcx_ssl.detection.writers import Writer, open_tables, open_writers
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import safe_name, write_text
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.manifest.metadata import read_metadata
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
    recordings = find_recordings(request.sources)
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
        infos = [_header(recording) for recording in recordings]
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
        with ExitStack() as stack:
            writers = [stack.enter_context(writer) for writer in self._writers()]
            bar = stack.enter_context(Progress(*columns, console=self.console, disable=not self.console.is_terminal))
            task = bar.add_task("listening", total=sum(info.duration_s for info in infos if info))
            for recording, info in zip(recordings, infos, strict=True):
                heard = self._listen(recording, info, bar, task)
                result = _result(recording, info, heard)
                for writer in writers:
                    writer.add(result)

    def _writers(self) -> list[Writer]:
        """Of events, scores and errors."""
        out, space, formats = self.request.out, self.model.space, self.request.formats
        nyquist_hz, frame_s = self.model.config.sample_rate_hz / 2, self.model.grid.frame_s
        window_s = windows_in_force(self.model, self.settings).window_s
        species = space.species_names
        events = open_writers(formats, out, species, nyquist_hz, scientific_names=space.species.scientific_names)
        return [*events, *open_tables(out, species, formats=formats, window_s=window_s, frame_s=frame_s)]

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
            self.model, recording.path, recording.name, self.settings, lambda seconds: bar.advance(task, seconds)
        )
        self.tally.events += len(heard.events)
        self.tally.audio_s += heard.heard_s
        if heard.problem is not None:
            self.tally.problems += 1
            self.console.print(f"error: {heard.problem}", highlight=False, soft_wrap=True)
        if self.request.draw is not None and heard.heard_s > 0:
            path = self.request.out / "pictures" / f"{safe_name(recording.name)}.png"
            self.request.draw(self.model, recording, heard, self.settings, path)
        return heard


def _header(recording: Recording) -> AudioInfo | None:
    """The file's header; None where it has none (listening will say why)."""
    try:
        return audio_info(recording.path, partial=True)
    except AudioError:
        return None


def _result(recording: Recording, info: AudioInfo | None, heard: Heard) -> Result:
    clip = None if heard.clip is None else np.array(heard.clip, np.float32)
    return Result(
        index=0,
        recording=recording.name,
        path=str(recording.path),
        start_s=0.0,
        heard_s=heard.heard_s,
        sample_rate_hz=info.sample_rate_hz if info else 0,
        recorded_at=read_metadata(recording.path).start_time,
        problem=heard.problem,
        warnings=(),
        clip=clip,
        events=heard.events,
    )
