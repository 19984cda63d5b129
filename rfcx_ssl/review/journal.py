"""Answers that are given one at a time: each is kept for good when it is given, and a label table says what stands.

``answers.jsonl`` is only ever added to, one line per answer, on the disk before :meth:`Journal.add` returns. ``answers.csv``, which
training reads, is made of it: what a person said last about a species in a box.
"""

import fcntl
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any

from rfcx_ssl.annotations import LabelMap
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.files import write_csv
from rfcx_ssl.review.answers import ANSWER_COLUMNS, answer_rows
from rfcx_ssl.review.plan import Item

JOURNAL, TABLE = "answers.jsonl", "answers.csv"
SAME = 0.5  # boxes are about the same sound where they share so much of the shorter one


@dataclass(frozen=True)
class Mark:
    """What stands about one species in one box; ``state`` is present, absent or unsure, which has no ``row``."""

    file: str
    species: str
    start_s: float
    end_s: float
    state: str
    annotator: str
    row: dict[str, Any] | None

    def same_sound(self, file: str, species: str, start_s: float, end_s: float) -> bool:
        """Whether a box is about what this mark is about."""
        if (file, species) != (self.file, self.species):
            return False
        shared_s = min(end_s, self.end_s) - max(start_s, self.start_s)
        return shared_s > 0 and shared_s >= SAME * min(end_s - start_s, self.end_s - self.start_s)


class Journal:
    """The answers in ``folder``; several people and processes may add to one.

    Raises:
        AnnotationError: a line of it is broken.
        ConfigError: the folder cannot be written.
    """

    def __init__(self, folder: Path, names: LabelMap) -> None:
        self.folder, self._names = folder, names
        self._state: tuple[int, int] | None = None  # of the file that ``_marks`` are of
        self._marks: list[Mark] = []
        if self.path.is_file():
            with self._locked() as file:
                self._write_table(file)

    @property
    def path(self) -> Path:
        """The file that is only added to."""
        return self.folder / JOURNAL

    @property
    def table(self) -> Path:
        """The label table that training reads."""
        return self.folder / TABLE

    def add(self, item: Item, said: str, annotator: str, weight: float = 1.0) -> None:
        """Keep an answer: the label ``said`` (:mod:`rfcx_ssl.review.grammar`) in the box of ``item``.

        Raises:
            AnnotationError: the label or the box has no meaning; nothing is kept.
            ConfigError: nobody is named, or the folder cannot be written.
        """
        who = annotator.strip()
        if not who:
            raise ConfigError("who listens? Say your name first: every answer carries it")
        answer_rows(item, said, self._names, annotator=who, weight=weight)
        at = time.strftime("%Y-%m-%dT%H:%M:%S%z")
        line = json.dumps({"at": at, "annotator": who, "weight": weight, "said": said, "item": asdict(item)})
        with self._locked() as file:
            file.truncate(_whole(file.read()))  # what a power cut left of a line was never an answer
            file.seek(0, os.SEEK_END)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
            self._write_table(file)

    def marks(self) -> Sequence[Mark]:
        """What stands, those of all people, in the order in which it was said."""
        if self.path.is_file():
            with self.path.open("rb") as file:
                self._read(file)
        return self._marks

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, at its start, while nobody else writes."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be written ({error.strerror or error})") from None
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _write_table(self, file: IO[bytes]) -> None:
        self._read(file)
        rows = [mark.row for mark in self._marks if mark.row is not None]
        write_csv(self.table, ANSWER_COLUMNS, ([row[name] for name in ANSWER_COLUMNS] for row in rows))

    def _read(self, file: IO[bytes]) -> None:
        status = os.fstat(file.fileno())
        if (state := (status.st_size, status.st_mtime_ns)) == self._state:
            return
        file.seek(0)
        data = file.read()
        marks: list[Mark] = []
        for number, line in enumerate(data[: _whole(data)].splitlines(), start=1):
            try:
                marks = _after(marks, self._marks_of(json.loads(line)))
            except (ValueError, KeyError, TypeError, AnnotationError) as error:
                raise AnnotationError(f"{self.path}:{number}: is no answer ({error!r})") from None
        self._state, self._marks = state, marks

    def _marks_of(self, answer: dict[str, Any]) -> list[Mark]:
        item, who = Item(**{field.name: answer["item"][field.name] for field in fields(Item)}), answer["annotator"]
        rows, outcome = answer_rows(item, answer["said"], self._names, annotator=who, weight=answer["weight"])
        if outcome == "unsure":
            return [Mark(item.file, item.species, item.start_s, item.end_s, outcome, who, None)]
        return [Mark(row["file"], row["label"], row["start_s"], row["end_s"], row["state"], who, row) for row in rows]


def _after(marks: list[Mark], said: list[Mark]) -> list[Mark]:
    """``marks`` without those about which the same person now says something else, then what is ``said``."""

    def is_replaced(old: Mark) -> bool:
        return any(
            new.annotator == old.annotator and old.same_sound(new.file, new.species, new.start_s, new.end_s)
            for new in said
        )

    return [old for old in marks if not is_replaced(old)] + said


def _whole(data: bytes) -> int:
    """How many bytes are whole lines."""
    return data.rfind(b"\n") + 1
