"""The command: list what there is to hear, hear it with one process or many, write the tables."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

import rfcx_ssl
from rfcx_ssl.batching import batched
from rfcx_ssl.config import settings_dict
from rfcx_ssl.detection.assemble import ModelFacts
from rfcx_ssl.detection.full_disk import may_be_full
from rfcx_ssl.detection.journal import Journal, Part, parts_of
from rfcx_ssl.detection.open_journal import open_journal
from rfcx_ssl.detection.prepare import Preparation
from rfcx_ssl.detection.recordings import is_url
from rfcx_ssl.detection.request import DetectRequest
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.score_rules import in_words
from rfcx_ssl.detection.sources import PIPE, check_sources
from rfcx_ssl.detection.work import (
    HeardPart,
    Hearer,
    hear_parts,
    name_deadly,
)
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import write_text
from rfcx_ssl.progress import counting, say
from rfcx_ssl.provenance import file_sha256
from rfcx_ssl.workers import open_workers

MOST_WARNINGS = 10
SUMMARIZED = frozenset(("csv", "parquet", "jsonl"))  # tables of all events, which a summary is made of
PARTS_PER_TASK = 16  # of a worker: what it starts once, it uses for so many


class IncompleteError(AudioError):
    """Everything readable was heard, but not everything was readable; see errors.csv."""

    exit_code = 3


def detect(request: DetectRequest, console: Console) -> dict[str, Any]:
    """Listen to all recordings of ``request`` that were not heard yet, and write every table of the folder; returns detect.json.

    Raises:
        IncompleteError: after all is written, if a recording could not be read to its end (exit code 3).
        RfcxError: the model cannot be used, or there is nothing to listen to.
    """
    check_sources(request.sources, request.lists)
    preparation, detection = Preparation(request, console), _Detection(request, console)
    out = request.job.out
    with may_be_full(out), open_journal(out, preparation.alone, preparation.join) as journal:
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
    preparation, detection = Preparation(request, console), _Detection(request, console)
    out = request.job.out
    with may_be_full(out), open_journal(out, preparation.alone, preparation.join) as journal:
        detection.hear(journal)
        plan = journal.plan()
        yield partial(journal.results, parts_of(plan), ModelFacts.of(plan).species)


class _Detection:
    """One run of the command."""

    def __init__(self, request: DetectRequest, console: Console) -> None:
        self.request, self.console = request, console
        self.out = request.job.out
        self.heard_s = 0.0  # by this process, or its workers
        self.seconds = 0.0

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
        if journal.untold or not self.request.tables.are_in(self.out, ModelFacts.of(journal.plan())):
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
        facts = ModelFacts.of(plan)
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
