"""Hear the parts of a journal: one process, its models, its readers. Any number of them share an output folder."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.clips import ClipSettings, save_clips
from rfcx_ssl.detection.hear import Ear, Heard
from rfcx_ssl.detection.journal import Journal, Part, joined_journal
from rfcx_ssl.detection.listing import Listed, Listing
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.read_ahead import ReadAhead, open_readers
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.result import Result, unheard
from rfcx_ssl.detection.score_rules import describe, make_rules
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.files import safe_name
from rfcx_ssl.inference.batch_size import choose_batch_size
from rfcx_ssl.inference.open import open_scorer
from rfcx_ssl.inference.scorer import Scorer
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
    places: Path | None = None  # a table of where and when recordings were made
    clips: ClipSettings | None = None  # how clips of events are cut, if they are
    draw: Draw | None = None  # makes a picture of each recording


class Hearer:
    """One process at work."""

    def __init__(self, job: Job, journal: Journal, tick: Tick) -> None:
        self.job, self.journal, self.tick = job, journal, tick
        self.lost = 0  # recordings in a row that could not be reached

    def hear_all(self, parts: Generator[Part]) -> None:
        """Hear parts that this process has claimed; ``parts`` gives them back when it is closed."""
        plan = self.journal.read_plan()
        assert plan is not None
        with (
            closing(parts),
            open_readers(self.job.readers) as readers,
            Listing(self.journal.listing_path, readonly=True) as listing,
            open_ear(self.job, plan) as ear,
        ):
            for part in parts:
                self._hear(part, ear, readers, listing)

    def _hear(self, part: Part, ear: Ear, readers: ReadAhead, listing: Listing) -> None:
        heard = self.journal.heard(part)
        first = part.first + heard
        rows = listing.rows(first, part.count - heard)
        stretches = (((row.index, row.recording), stretch_of(row.recording, ear)) for row in rows)
        for group in ear.hear(readers.open_all(stretches)):
            kept = [self._finished(result, ear) for result in group]
            self.journal.add_group(part, kept)
            self.tick(kept)
        self.journal.seal(part)

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
def open_model(job: Job) -> Scorer:
    """The model of ``job``, loaded once in a process."""
    use_threads(job.threads)
    settings = job.settings
    return open_scorer(
        job.model,
        backend=settings.backend,
        device=job.device,
        precision=settings.precision,
        compile=settings.compile,
        windows=settings,
        activity_gate=settings.activity_gate,
    )


@contextmanager
def open_ear(job: Job, plan: Mapping[str, Any]) -> Iterator[Ear]:
    """Model and rules, as the folder's plan says."""
    scorer, places = open_model(job), job.places if job.settings.occurrence else None
    settings = replace(job.settings, batch_size=plan["batch_size"])
    with nullcontext() if places is None else open_recording_table(places) as table:
        rules = make_rules(scorer, settings, plan["prior"], table)
        yield Ear(scorer, settings, rules, keep=job.keep, drawn=job.draw is not None)


def stretch_of(recording: Recording, ear: Ear) -> Stretch:
    """The part of the file that is to be listened to."""
    return Stretch(recording.path, recording.start_s, recording.end_s, ear.rates_hz, ear.settings.block_s)


def about_model(scorer: Scorer, settings: DetectSettings) -> dict[str, Any]:
    """What a plan says about the model, so that tables are made without it."""
    return {
        "species": scorer.species.rows(),
        "sample_rate_hz": scorer.grid.sample_rate_hz,
        "frame_s": scorer.grid.frame_s,
        "windows": scorer.windows._asdict(),
        "batch_size": choose_batch_size(scorer) if settings.batch_size == "auto" else settings.batch_size,
        "decisions": describe(make_rules(scorer, settings), settings),
    }


def clip_scores(job: Job, rows: Sequence[Listed]) -> NDArray[np.float32]:
    """What the model's clip head says (R, S) of recordings, before any rule; R is less where some cannot be heard."""
    scorer = open_model(job)
    plain = replace(
        job.settings, tuned=False, prevalence="none", include=(), exclude=(), occurrence=None, recording_score="clip"
    )
    ear = Ear(scorer, plain)
    stretches = [((row.index, row.recording), stretch_of(row.recording, ear)) for row in rows]
    with open_readers(job.readers) as readers:
        groups = list(ear.hear(readers.open_all(stretches)))
    found = [heard.result.clip for group in groups for heard in group if heard.result.clip is not None]
    return np.stack(found) if found else np.zeros((0, len(scorer.species)), np.float32)


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
