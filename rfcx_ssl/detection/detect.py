"""The command: list what there is to hear, hear it with one process or many, write the tables."""

import json
import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console

import rfcx_ssl
from rfcx_ssl.batching import batched
from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.assemble import ModelFacts, Tables
from rfcx_ssl.detection.journal import Journal, OtherFormatError, Part, may_be_full, open_journal, parts_of
from rfcx_ssl.detection.listing import Listing
from rfcx_ssl.detection.own_files import remove_files_of
from rfcx_ssl.detection.plan import differences, refuse_other, wanted_plan
from rfcx_ssl.detection.recording_table import open_recording_table
from rfcx_ssl.detection.recordings import is_url
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.score_rules import check_prior, in_words, learn_prior, plain_prior
from rfcx_ssl.detection.settings import CLIPS, PICTURES
from rfcx_ssl.detection.sources import PIPE, check_sources, iter_recordings
from rfcx_ssl.detection.work import (
    HeardPart,
    Hearer,
    Job,
    about_models,
    clip_scores,
    hear_parts,
    name_deadly,
    open_models,
)
from rfcx_ssl.errors import AudioError, RunError
from rfcx_ssl.files import write_text
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.progress import counting, say
from rfcx_ssl.provenance import file_sha256
from rfcx_ssl.species.prevalence import NONE
from rfcx_ssl.species.table import SpeciesTable
from rfcx_ssl.workers import open_workers

MOST_WARNINGS = 10
SUMMARIZED = frozenset(("csv", "parquet", "jsonl"))  # tables of all events, which a summary is made of
PARTS_PER_TASK = 16  # of a worker: what it starts once, it uses for so many
AS_CSV = Tables()


class IncompleteError(AudioError):
    """Everything readable was heard, but not everything was readable; see errors.csv."""

    exit_code = 3


@dataclass(frozen=True)
class DetectRequest:
    """What to listen to, and what to write."""

    sources: Sequence[str]
    job: Job
    lists: Sequence[str] = ()
    tables: Tables = AS_CSV
    workers: int = 1
    dask: str | None = None
    redo: bool = False
    summarize: Callable[[Path], object] = lambda _: None  # told the folder when its tables are written


def detect(request: DetectRequest, console: Console) -> dict[str, Any]:
    """Listen to all recordings of ``request`` that were not heard yet, and write every table of the folder; returns detect.json.

    Raises:
        IncompleteError: after all is written, if a recording could not be read to its end (exit code 3).
        RfcxError: the model cannot be used, or there is nothing to listen to.
    """
    check_sources(request.sources, request.lists)
    detection = _Detection(request, console)
    out = request.job.out
    with may_be_full(out), open_journal(out, detection.prepare, detection.join) as journal:
        detection.hear(journal)
        record = detection.write(journal)
    detection.summarize(record)
    return record


@contextmanager
def heard(request: DetectRequest, console: Console) -> Iterator[Callable[[], Iterator[Result]]]:
    """Listen as :func:`detect` does, and write no table: a function that reads all results in the order of the listing.

    Raises:
        RfcxError: the model cannot be used, or there is nothing to listen to.
    """
    detection = _Detection(request, console)
    out = request.job.out
    with may_be_full(out), open_journal(out, detection.prepare, detection.join) as journal:
        detection.hear(journal)
        plan = journal.plan()
        yield partial(journal.results, parts_of(plan), _facts(plan).species)


class _Detection:
    """One run of the command."""

    def __init__(self, request: DetectRequest, console: Console) -> None:
        self.request, self.console = request, console
        self.out = request.job.out
        self.heard_s = 0.0  # by this process, or its workers
        self.seconds = 0.0
        self.wanted = _wanted(request.job)  # before a folder is made: the model may not be there

    # ---- what is to be heard

    def prepare(self, journal: Journal) -> None:
        """List and plan, alone in the folder."""
        job = self.request.job
        journal.remove_leftovers()
        wanted, made = self.wanted, self._made(journal)
        if made is not None:
            wanted = {**wanted, "places": self._places(journal, made["total"])}
            if self.request.redo and differences(made, wanted):
                remove_files_of(self._kept(journal, made, parts_of(made)), self.out)
                made = None
        if made is None:
            journal.forget()
            wanted = self.wanted
            made = {**wanted, "runs": [], "total": 0, **about_models(job)}
        refuse_other(made, wanted, self.out)
        with Listing(journal.listing_path) as listing:
            listing.update(iter_recordings(self.request.sources, self.request.lists, spool=journal.folder))
            missing = self.request.tables.check(
                _facts(made), ((row.recording.name, row.recording.path) for row in listing)
            )
            if missing:
                self._say(f"warning: {missing} of {len(listing)} recordings are not in {self.request.tables.places}")
            if len(listing) > made["total"]:
                made["runs"].append(made["total"])
                made["total"] = len(listing)
            if "prior" not in made:
                made["prior"] = self._prior(listing)
        made["places"] = self._places(journal, made["total"])
        journal.write_plan(made)
        with Listing(journal.listing_path) as listing:
            self._hear_again(journal, made, listing)

    def _places(self, journal: Journal, total: int) -> str | None:
        """A hash of what the table of recordings says of the first ``total``: more rows for new ones change nothing.
        None where scores do not depend on it.
        """
        job = self.request.job
        if job.places is None or job.settings.occurrence is None:
            return None
        with Listing(journal.listing_path) as listing, open_recording_table(job.places) as table:
            return table.digest((row.recording.name, row.recording.path) for row in islice(listing, total))

    def _kept(self, journal: Journal, made: Mapping[str, Any], parts: Sequence[Part]) -> Iterator[Result]:
        """Results of parts as far as they can be read."""
        species = _facts(made).species
        for part in parts:
            with suppress(RunError):  # they are going to be dropped
                yield from journal.kept(part, species)

    def _made(self, journal: Journal) -> dict[str, Any] | None:
        """The plan that is there, unless it is to be replaced whatever it says."""
        try:
            return journal.read_plan()
        except OtherFormatError:
            if not self.request.redo:
                raise
            return None

    def _hear_again(self, journal: Journal, made: Mapping[str, Any], listing: Listing) -> None:
        """Open the parts again whose files have changed, and those of which a file could not be reached.

        Raises:
            RunError: files have changed since they were heard, and nobody said ``--redo``.
        """
        parts = parts_of(made)

        def reopen(part: Part) -> None:
            remove_files_of(self._kept(journal, made, [part]), self.out)
            journal.reopen(part)

        for part in journal.unreached(parts):
            if any(_may_be_there(listing, index) for index in journal.lost(part)):
                reopen(part)
        firsts = [part.first for part in parts]
        for index in listing.changed():
            part = parts[bisect_right(firsts, index) - 1]
            if index >= part.first + journal.heard(part):
                continue
            if not self.request.redo:
                (row,) = listing.rows(index, 1)
                raise RunError(f"{row.recording.path}: has changed since it was heard; hear it again with --redo")
            reopen(part)
        listing.accept()

    def _prior(self, listing: Listing) -> list[float] | None:
        """What the prevalence adds to the log odds, learned from recordings all over the listing."""
        job, settings = self.request.job, self.request.job.settings
        if settings.prevalence == NONE:
            return None
        check_prior(open_models(job), settings)
        count = min(settings.prevalence_recordings, len(listing))
        self._say(f"prevalence={settings.prevalence}: listening to {count} recordings first, to scale scores by")
        places = evenly(count, len(listing))
        scores = clip_scores(job, [row for place in places for row in listing.rows(place, 1)])
        if not len(scores):
            raise AudioError(f"prevalence={settings.prevalence}: none of {count} recordings can be heard")
        return plain_prior(learn_prior(open_models(job), settings, scores))

    def join(self, journal: Journal) -> None:
        """Others are at work here: share it."""
        made = journal.read_plan()
        if made is None:
            raise RunError(
                f"--out {self.out}: another process that began to list recordings here has died; start again"
            )
        refuse_other(made, {**self.wanted, "places": self._places(journal, made["total"])}, self.out)
        self._say(f"{self.out}: others are at work here; sharing it (recordings that are new are heard another time)")

    # ---- hearing

    def hear(self, journal: Journal) -> None:
        """Hear what is left, in this process or in workers."""
        parts = parts_of(journal.plan())
        left = [part for part in parts if not journal.sealed(part)]
        if not left:
            return
        started = time.perf_counter()
        with counting(self.console, "listening", sum(part.count - journal.heard(part) for part in left)) as advance:
            if self.request.workers > 1 or self.request.dask:
                self._hear_in_workers(journal, left, advance)
                left = [part for part in left if not journal.sealed(part)]  # in work elsewhere, or left by others
            if left:
                Hearer(self.request.job, journal, self._tick(advance)).hear_all(journal.take_each(left))
        self.seconds = time.perf_counter() - started

    def _hear_in_workers(self, journal: Journal, left: Sequence[Part], advance: Callable[[int], None]) -> None:
        """Hand parts to worker processes; the recording that kills them wherever it is heard gets a result that says so.

        Recordings are heard in groups, and a death does not tell which of a group it was: the part is heard again, one
        by one.
        """
        alone = False
        with open_workers(self.request.workers, self.request.dask) as workers:
            while left:
                size = max(1, min(PARTS_PER_TASK, len(left) // (4 * self.request.workers)))
                deadly: list[Part] = []
                function = partial(hear_parts, self.request.job, alone=alone)
                for answers in workers.run(function, batched(left, size), lambda part: HeardPart(part, died=True)):
                    deadly += [answer.part for answer in answers if answer.died]
                    advance(sum(answer.part.count for answer in answers if not answer.died))
                for part in deadly if alone else ():
                    name_deadly(journal, part)
                left, alone = deadly, True

    def _tick(self, advance: Callable[[int], None]) -> Callable[[Sequence[Result]], None]:
        def tick(results: Sequence[Result]) -> None:
            self.heard_s += sum(result.heard_s for result in results)
            advance(len(results))

        return tick

    # ---- tables

    def write(self, journal: Journal) -> dict[str, Any]:
        """Write the tables, unless they are there already, and detect.json; returns what that holds."""
        with journal.tables():
            made = self._tables_made(journal)
            return self._write(journal) if made is None else made

    def _tables_made(self, journal: Journal) -> dict[str, Any] | None:
        """detect.json where it is about all that was heard, and the tables that are wanted are there."""
        if journal.untold or not self.request.tables.are_in(self.out, _facts(journal.plan())):
            return None
        try:
            record: dict[str, Any] = json.loads((self.out / "detect.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return record if record.get("tables") == self._tables_wanted() else None

    def _tables_wanted(self) -> dict[str, Any]:
        tables = self.request.tables
        return {
            "formats": sorted(tables.formats),
            "saves": sorted(tables.saves),
            "clips": [tables.clips.clips_per_species, tables.clips.clip_margin_s, tables.clips.longest_clip_s],
            "places": None if tables.places is None else file_sha256(tables.places),
        }

    def _write(self, journal: Journal) -> dict[str, Any]:
        plan = journal.plan()
        facts = _facts(plan)
        results = journal.results(parts_of(plan), facts.species)
        tally = self.request.tables.write(results, self.out, facts)
        record = {
            "rfcx_ssl": rfcx_ssl.__version__,
            "made": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "models": self.request.job.models,
            "sources": [
                source if source == PIPE or is_url(source) else str(Path(source).absolute())
                for source in self.request.sources
            ],
            "lists": list(self.request.lists),
            **{key: plan[key] for key in ("sample_rate_hz", "frame_s", "decisions", "windows", "keep")},
            "settings": settings_dict(self.request.job.settings),
            "tables": self._tables_wanted(),
            "recordings": tally.recordings,
            "unreadable": tally.unreadable,
            "audio_s": round(tally.audio_s, 3),
            "events": tally.events,
            "warnings": tally.warning_lines(),
            "problems": tally.problems,
        }
        write_text(self.out / "detect.json", json.dumps(record, indent=1, ensure_ascii=False))
        if SUMMARIZED & {*self.request.tables.formats}:
            self.request.summarize(self.out)
        journal.told()
        return record

    def summarize(self, record: dict[str, Any]) -> None:
        """Say what was found; raise if not all was heard."""
        for warning in record["warnings"][:MOST_WARNINGS]:
            self._say(f"warning: {warning}")
        for problem in record["problems"]:
            self._say(f"error: {problem}")
        self._say(f"events: {in_words(record['decisions'])}")
        if self.heard_s:
            speed = speed_text(self.heard_s, self.seconds)
        else:
            speed = "nothing new to hear" if not self.seconds else f"{self.seconds:.1f} s"
        self._say(f"{record['events']} events in {record['recordings']} recordings, {speed}: {self.out}")
        require_whole(record, self.out)

    def _say(self, text: str) -> None:
        say(self.console, text)


def speed_text(heard_s: float, seconds: float) -> str:
    """How fast it was, in words."""
    return f"{heard_s:.0f} s of audio in {seconds:.1f} s ({heard_s / seconds:.0f} times real time)"


def require_whole(record: Mapping[str, Any], out: Path) -> None:
    """Raise IncompleteError where a record says that recordings were ``unreadable``."""
    if record["unreadable"]:
        raise IncompleteError(
            f"{record['unreadable']} of {record['recordings']} recordings could not be read whole: {out / 'errors.csv'}",
            {"out": out, **record},
        )


def evenly(most: int, total: int) -> list[int]:
    """Places of at most ``most`` of ``total`` things that follow each other, spread over all of them."""
    count = min(most, total)
    return [number * total // count for number in range(count)]


def _wanted(job: Job) -> dict[str, Any]:
    """The plan that a command asks for."""
    made = {PICTURES: job.pictures, CLIPS: job.clips}
    keep = {*job.keep, *(name for name, wanted in made.items() if wanted)}
    return wanted_plan([model_folder(model) for model in job.models], job.settings, keep)


def _may_be_there(listing: Listing, index: int) -> bool:
    """Whether hearing a recording that could not be reached is worth another try."""
    return any(is_url(row.recording.path) or os.path.exists(row.recording.path) for row in listing.rows(index, 1))  # noqa: PTH110 - a name of any bytes


def _facts(plan: Mapping[str, Any]) -> ModelFacts:
    return ModelFacts(
        SpeciesTable.from_rows(plan["species"]), plan["sample_rate_hz"], plan["frame_s"], plan["windows"]["window_s"]
    )
