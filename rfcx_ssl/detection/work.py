"""Hear the parts of a journal: one process, its models, its readers. Any number of them share an output folder."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.clips import save_clips
from rfcx_ssl.detection.fetcher import Fetcher
from rfcx_ssl.detection.hear import Ear, Heard
from rfcx_ssl.detection.journal import Journal, Part
from rfcx_ssl.detection.listing import Listed, Listing
from rfcx_ssl.detection.open_journal import joined_journal
from rfcx_ssl.detection.own_files import picture_path
from rfcx_ssl.detection.read_ahead import ReadAhead, open_readers
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.result import Result, unheard
from rfcx_ssl.detection.score_rules import describe, make_rules
from rfcx_ssl.detection.settings import CLIPS, PICTURES, DetectSettings
from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.inference.allocator import keep_freed_memory
from rfcx_ssl.inference.open import open_scorer
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.threads import use_threads
from rfcx_ssl.workers import DEATH

LOST_IN_A_ROW = 20  # recordings that cannot be reached before the run gives up
Draw = Callable[[Heard, Ear, Path], None]
Tick = Callable[[Sequence[Result]], None]


@dataclass(frozen=True)
class Job:
    """What every process that hears for a folder must know; it travels to workers."""

    out: Path
    models: tuple[str, ...]
    settings: DetectSettings
    keep: frozenset[str] = frozenset()
    device: str = "auto"
    readers: int = 1
    threads: int | None = None
    places: Path | None = None  # a table of where and when recordings were made
    clips: bool = False  # cut clips of the surest events
    pictures: bool = False  # draw every recording
    draw: Draw | None = None  # makes a picture of a recording


class Hearer:
    """One process at work."""

    def __init__(self, job: Job, journal: Journal, tick: Tick) -> None:
        self.job, self.journal, self.tick = job, journal, tick
        self.plan = journal.plan()
        self.keep = frozenset(self.plan["keep"])  # of every recording of the folder, whatever this command asks for
        self.lost = 0  # recordings in a row that could not be reached

    def hear_all(self, parts: Generator[Part], *, alone: bool = False) -> None:
        """Hear parts that this process has claimed; ``parts`` gives them back when it is closed.

        With ``alone`` every recording is heard and kept by itself, so that one of which this process dies is the first
        that was not heard.
        """
        with (
            closing(parts),
            open_readers(self.job.readers) as readers,
            Listing(self.journal.listing_path, readonly=True) as listing,
            open_ear(self.job, self.plan) as ear,
            Fetcher(self.journal.folder) as fetcher,
        ):
            for part in parts:
                self._hear(part, ear, readers, fetcher, listing, alone=alone)

    def _hear(
        self, part: Part, ear: Ear, readers: ReadAhead, fetcher: Fetcher, listing: Listing, *, alone: bool
    ) -> None:
        heard = self.journal.heard(part)
        first = part.first + heard
        rows = listing.rows(first, part.count - heard)
        away = {row.index for row in rows if not row.here}  # not named any more: a card that was taken out
        stretches = fetcher.all_local(((row.index, row.recording) for row in rows), ear.stretch_of)
        opened = readers.open_all(stretches)
        for group in chain.from_iterable(ear.hear([one]) for one in opened) if alone else ear.hear(opened):
            kept = [self._finished(heard, ear) for heard in group]
            self._require_reach(result for result in kept if result.index not in away)
            self.journal.add_group(part, kept)
            fetcher.release(heard.audio for heard in group)
            self.tick(kept)
        self.journal.seal(part)

    def _require_reach(self, results: Iterable[Result]) -> None:
        """Give up where recordings that should be there are not, one after the other."""
        for result in results:
            self.lost = self.lost + 1 if result.unreachable else 0
            if self.lost == LOST_IN_A_ROW:
                raise RunError(
                    f"the last {LOST_IN_A_ROW} recordings cannot be reached ({result.problem}): is their disk or network "
                    "there? What was heard is kept; the same command goes on"
                )

    def _finished(self, heard: Heard, ear: Ear) -> Result:
        """Cut and draw what is to be, and leave only what is to be kept."""
        job, result = self.job, heard.result
        if CLIPS in self.keep:
            problems = save_clips(result, heard.audio, job.out, job.settings, heard.channel)
            result = replace(result, warnings=(*result.warnings, *(f"no clip ({problem})" for problem in problems)))
        if PICTURES in self.keep and job.draw is not None and result.clip is not None:
            path = picture_path(job.out, result.recording)
            try:
                job.draw(heard, ear, path)
            except Exception as error:  # noqa: BLE001 - a picture is no reason to lose what was heard
                result = replace(result, warnings=(*result.warnings, f"no picture ({first_line(error)})"))
        return ear.without_extras(result)


@lru_cache(maxsize=1)
def open_models(job: Job) -> tuple[Scorer, ...]:
    """The models of ``job``, loaded once in a process."""
    use_threads(job.threads)
    settings = job.settings
    scorers = tuple(
        open_scorer(
            model,
            backend=settings.backend,
            device=job.device,
            precision=settings.precision,
            compile=settings.compile,
            windows=settings,
            activity_gate=settings.activity_gate,
        )
        for model in job.models
    )
    if any(scorer.device.type == "cpu" for scorer in scorers):
        keep_freed_memory()
    return scorers


@contextmanager
def open_ear(job: Job, plan: Mapping[str, Any]) -> Iterator[Ear]:
    """Models and rules, as the folder's plan says."""
    scorers, places = open_models(job), job.places if job.settings.occurrence else None
    settings = replace(job.settings, batch_size=plan["batch_size"])
    with nullcontext() if places is None else open_recording_table(places) as table:
        rules = make_rules(scorers, settings, plan["prior"], table)
        keep = frozenset(plan["keep"])
        yield Ear(scorers, settings, rules, keep=keep, drawn=PICTURES in keep and job.draw is not None)


def about_models(job: Job) -> dict[str, Any]:
    """What a plan says about the models, so that tables are made without them."""
    scorers, settings = open_models(job), job.settings
    ear = Ear(scorers, settings)
    first = scorers[0]
    return {
        "species": first.species.rows(),
        "sample_rate_hz": first.grid.sample_rate_hz,
        "frame_s": first.grid.frame_s,
        "windows": first.windows._asdict(),
        "batch_size": ear.batch_size,
        "decisions": describe(ear.rules, settings),
    }


def clip_scores(job: Job, rows: Sequence[Listed]) -> NDArray[np.float32]:
    """What the models' clip heads say (R, S) of recordings, before any rule; R is less where some cannot be heard."""
    plain = replace(
        job.settings, tuned=False, prevalence="none", include=(), exclude=(), occurrence=None, recording_score="clip"
    )
    ear = Ear(open_models(job), plain)
    with open_readers(job.readers) as readers, Fetcher(job.out / "journal") as fetcher:
        stretches = fetcher.all_local(((row.index, row.recording) for row in rows), ear.stretch_of)
        found = []
        for group in ear.hear(readers.open_all(stretches)):
            found += [heard.result.clip for heard in group if heard.result.clip is not None]
            fetcher.release(heard.audio for heard in group)
    return np.stack(found) if found else np.zeros((0, len(ear.scorer.species)), np.float32)


@dataclass(frozen=True, slots=True)
class HeardPart:
    """What a worker says about a part: its results are in the journal, or it died of it."""

    part: Part
    died: bool = False


def hear_parts(job: Job, parts: list[Part], *, alone: bool = False) -> list[HeardPart]:
    """What a worker process runs: hear those of ``parts`` that nobody else works on."""
    with joined_journal(job.out) as journal:
        Hearer(job, journal, lambda _: None).hear_all(_claimed(journal, parts), alone=alone)
    return [HeardPart(part) for part in parts]


def _claimed(journal: Journal, parts: list[Part]) -> Generator[Part]:
    for part in parts:
        with journal.claim(part) as mine:
            if mine and not journal.sealed(part):
                yield part


def name_deadly(journal: Journal, part: Part) -> None:
    """Give the recording that a worker died of, twice and alone, a result that says so: the first that was not heard."""
    with journal.claim(part) as mine, Listing(journal.listing_path, readonly=True) as listing:
        index = part.first + journal.heard(part)
        for row in listing.rows(index, 1) if mine else ():
            journal.add_group(part, [unheard(index, row.recording, f"{row.recording.path}: {DEATH}")])
