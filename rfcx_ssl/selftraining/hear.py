"""Groups of recordings, each heard by the teachers that may label it: journals of :mod:`rfcx_ssl.detection` with frames kept."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from rfcx_ssl.detection.assemble import Tables
from rfcx_ssl.detection.detect import IncompleteError, detect
from rfcx_ssl.detection.journal import parts_of
from rfcx_ssl.detection.open_journal import joined_journal
from rfcx_ssl.detection.request import DetectRequest
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.work import Job
from rfcx_ssl.files import write_csv
from rfcx_ssl.selftraining.settings import PseudoLabelSettings
from rfcx_ssl.selftraining.teachers import Teacher
from rfcx_ssl.species.table import SpeciesTable


@dataclass(frozen=True)
class Work:
    """How hearing is done; no label depends on it."""

    device: str = "auto"
    workers: int = 1
    readers: int = 1
    threads: int | None = None
    redo: bool = False


@dataclass(frozen=True)
class Group:
    """Recordings that the same teachers label, and the folder of their journal."""

    folder: Path
    teachers: tuple[Teacher, ...]
    name_of: Mapping[str, str]  # recording by path

    @property
    def plan(self) -> Mapping[str, Any]:
        """What the journal says of the models, once it was heard."""
        with joined_journal(self.folder) as journal:
            return journal.plan()

    def hear(self, settings: PseudoLabelSettings, work: Work, console: Console) -> str | None:
        """Hear what was not heard yet; returns what to say where not everything could be read."""
        self.folder.mkdir(parents=True, exist_ok=True)
        listed = self.folder / "recordings.csv"
        write_csv(listed, ["file"], ([path] for path in self.name_of))
        job = Job(
            out=self.folder.resolve(),
            models=tuple(str(teacher.model) for teacher in self.teachers),
            settings=_detect_settings(settings),
            keep=frozenset({"frames"}),
            device=work.device,
            readers=work.readers,
            threads=work.threads,
        )
        request = DetectRequest((), job, (str(listed),), Tables(formats=()), work.workers, redo=work.redo)
        try:
            detect(request, console)
        except IncompleteError as error:
            return str(error)
        return None

    def results(self) -> Iterator[tuple[str, Result]]:
        """Recordings with what was heard of them; those that nobody named this time are left out."""
        with joined_journal(self.folder) as journal:
            plan = journal.plan()
            for result in journal.results(parts_of(plan), SpeciesTable.from_rows(plan["species"])):
                name = self.name_of.get(result.path)
                if name is not None:
                    yield name, result


def make_groups(
    out: Path, teachers: Sequence[Teacher], groups: Mapping[tuple[int, ...], Mapping[str, str]]
) -> list[Group]:
    """The groups of an assignment; a folder is known by the teachers that hear for it."""
    found = []
    for numbers, name_of in groups.items():
        members = tuple(teachers[number] for number in numbers)
        key = hashlib.sha256("\n".join(str(member.model) for member in members).encode()).hexdigest()[:16]
        found.append(Group(out / key, members, name_of))
    return found


def _detect_settings(settings: PseudoLabelSettings) -> DetectSettings:
    shared = (
        "window_s",
        "overlap",
        "aggregate",
        "tuned",
        "prevalence",
        "prevalence_recordings",
        "precision",
        "batch_size",
    )
    return DetectSettings(**{key: getattr(settings, key) for key in shared})
