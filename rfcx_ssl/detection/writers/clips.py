"""clips.csv: which clip is which event."""

from pathlib import Path

from rfcx_ssl.detection.clips import ClipSettings, clips_of
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import CsvTable
from rfcx_ssl.files import guard_cell

COLUMNS = ("file", "recording", "start_s", "end_s", "species", "score", "clip_start_s", "clip_end_s")


class ClipCsv(CsvTable):
    """clips.csv: the clips that could be cut; ``file`` is below the output folder."""

    def __init__(self, path: Path, settings: ClipSettings) -> None:
        super().__init__(path, COLUMNS)
        self._settings = settings

    def add(self, result: Result) -> None:
        """Append the recording's clips."""
        for clip in clips_of(result, self._settings):
            if (self.path.parent / clip.file).is_file():
                e = clip.event
                event = (f"{e.box.start_s:.3f}", f"{e.box.end_s:.3f}", guard_cell(e.species), f"{e.score:.4f}")
                names = guard_cell(clip.file), guard_cell(result.recording)
                self.write((*names, *event, f"{clip.start_s:.3f}", f"{clip.end_s:.3f}"))
