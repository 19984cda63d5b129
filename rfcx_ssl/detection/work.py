"""Hear the parts of a journal: one process, its models, its readers. Any number of them share an output folder."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from rfcx_ssl.detection.clips import ClipSettings, save_clips
from rfcx_ssl.detection.hear import Ear, Heard
from rfcx_ssl.detection.journal import Journal, Part, joined_journal
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.read_ahead import ReadAhead, open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import Result, unheard
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.files import safe_name
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.threads import use_threads
from rfcx_ssl.workers import DEATH

LOST_IN_A_ROW = 20  # recordings that cannot be reached before the run gives up
Draw = Callable[[Result, Path, Ear, Path], None]
Tick = Callable[[Sequence[Result]], None]


@dataclass(frozen=True)
class Job:
    """What every process that hears for a folder must know; it travels to workers."""

    out: Path
    model: str
    settings: DetectSettings
    keep: frozenset[str] = frozenset()
    device: str = "auto"
    readers: int = 1
    threads: int | None = None
    clips: ClipSettings | None = None  # how clips of events are cut, if they are
    draw: Draw | None = None  # makes a picture of each recording


class Hearer:
    """One process at work: models are loaded and readers started when the first part is taken."""

    def __init__(self, job: Job, journal: Journal, tick: Tick) -> None:
        self.job, self.journal, self.tick = job, journal, tick
        self.lost = 0  # recordings in a row that could not be reached

    def hear_all(self, parts: Generator[Part]) -> None:
        """Hear parts that this process has claimed; ``parts`` gives them back when it is closed."""
        ear: Ear | None = None
        with (
            closing(parts),
            open_readers(self.job.readers) as readers,
            Listing(self.journal.listing_path, readonly=True) as listing,
        ):
            for part in parts:
                ear = ear or open_ear(self.job)
                self._hear(part, ear, readers, listing)

    def _hear(self, part: Part, ear: Ear, readers: ReadAhead, listing: Listing) -> None:
        heard = self.journal.heard(part)
        first = part.first + heard
        rows = listing.rows(first, part.count - heard)
        stretches = (((row.index, row.recording), self._stretch(row.recording, ear)) for row in rows)
        for group in ear.hear(readers.open_all(stretches)):
            kept = [self._finished(result, ear) for result in group]
            self.journal.add_group(part, kept)
            self.tick(kept)
        self.journal.seal(part)

    def _stretch(self, recording: Recording, ear: Ear) -> Stretch:
        return Stretch(recording.path, recording.start_s, recording.end_s, ear.rates_hz, self.job.settings.block_s)

    def _finished(self, heard: Heard, ear: Ear) -> Result:
        """Cut and draw what is to be, and leave only what is to be kept."""
        job, result = self.job, heard.result
        self.lost = self.lost + 1 if result.unreachable else 0
        if self.lost == LOST_IN_A_ROW:
            raise RunError(
                f"the last {LOST_IN_A_ROW} recordings cannot be reached ({result.problem}): is their disk or network there? "
                "What was heard is kept; the same command goes on"
            )
        if job.clips is not None:
            problems = save_clips(result, heard.audio, job.out, job.clips)
            result = replace(result, warnings=(*result.warnings, *(f"no clip ({problem})" for problem in problems)))
        if job.draw is not None and result.clip is not None:
            path = job.out / "pictures" / f"{safe_name(result.recording)}.png"
            try:
                job.draw(result, heard.audio, ear, path)
            except Exception as error:  # noqa: BLE001 - a picture is no reason to lose what was heard
                result = replace(result, warnings=(*result.warnings, f"no picture ({first_line(error)})"))
        return ear.without_extras(result)


@lru_cache(maxsize=1)
def open_ear(job: Job) -> Ear:
    """The models of ``job``, loaded once in a process."""
    use_threads(job.threads)
    scorer = TorchScorer(load_model(job.model, job.device), job.model, job.settings)
    return Ear(scorer, job.settings, job.keep, drawn=job.draw is not None)


@dataclass(frozen=True, slots=True)
class HeardPart:
    """What a worker says about a part: its results are in the journal, or it died of it."""

    part: Part
    died: bool = False


def hear_parts(job: Job, parts: list[Part]) -> list[HeardPart]:
    """What a worker process runs: hear those of ``parts`` that nobody else works on."""
    with joined_journal(job.out) as journal:
        Hearer(job, journal, lambda _: None).hear_all(_claimed(journal, parts))
    return [HeardPart(part) for part in parts]


def _claimed(journal: Journal, parts: list[Part]) -> Generator[Part]:
    for part in parts:
        with journal.claim(part) as mine:
            if mine and not journal.sealed(part):
                yield part


def name_deadly(journal: Journal, part: Part) -> None:
    """Give the recording that a worker died of, twice and alone, a result that says so."""
    with journal.claim(part) as mine, Listing(journal.listing_path, readonly=True) as listing:
        index = part.first + journal.heard(part)
        for row in listing.rows(index, 1) if mine else ():
            journal.add_group(part, [unheard(index, row.recording, f"{row.recording.path}: {DEATH}")])
