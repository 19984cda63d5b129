"""From the rows of label tables, as text, to annotations: every rule checked with file and line."""

import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds import Kind, LabelTable
from rfcx_ssl.annotations.label_map import LabelMap, Meaning, is_unsure
from rfcx_ssl.annotations.rows import check_box
from rfcx_ssl.annotations.table import UNKNOWN_BAND_HZ, Annotations, RowProblem, fail_on_problems
from rfcx_ssl.finite import parse_number, parse_whole

logger = logging.getLogger(__name__)

#: The recording that a row means; ``ValueError`` says why there is none, :class:`NoAudio` that its file is not there.
RecordingOf = Callable[[LabelTable, Selection], str]


class NoAudio(ValueError):
    """A row is about a recording that is not there."""


class ReadTable(NamedTuple):
    """A label table and its rows."""

    table: LabelTable
    kind: Kind
    rows: Sequence[Selection]
    named: bool = False  # the user named it, rather than that it was found


class ProgramRule(NamedTuple):
    """What the words of programs are worth."""

    weight: float  # of a row
    min_confidence: float  # rows below are left out


@dataclass
class Conversion:
    """Turns tables into rows and counts what it leaves out."""

    labels: LabelMap
    recording_of: RecordingOf
    program: ProgramRule | None = None  # None: rows of programs count where the user named their table
    skip_no_audio: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    recordings: set[str] = field(default_factory=set)  # those that a person's table is about
    num_by_programs: int = 0  # rows of programs that count
    left_out: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)  # where each reason was met first
    problems: list[RowProblem] = field(default_factory=list)
    _meanings: dict[tuple[str, str], Meaning | ValueError | None] = field(default_factory=dict)

    def add(self, read: ReadTable) -> None:
        """Convert the rows of one table."""
        path = read.table.path
        for selection in read.rows:
            source = f"{path}:{selection.line}"
            try:
                row = self._row(read, selection, source)
            except NoAudio as error:
                if self.skip_no_audio:
                    self._leave_out("about recordings whose audio file is not there", source)
                else:
                    self.problems.append(RowProblem(source, str(error)))
            except ValueError as error:
                self.problems.append(RowProblem(source, str(error)))
            else:
                if row is not None:
                    self.rows.append(row)
        if not read.rows and not read.kind.by_program(read.table):
            self._note_empty(read.table)

    def annotations(self) -> Annotations:
        """All rows; what was left out is reported.

        Raises:
            AnnotationError: naming file and line of the first wrong row.
        """
        fail_on_problems(self.problems)
        for reason, count in self.left_out.items():
            logger.warning("%d label rows are left out: %s (first: %s)", count, reason, self.first[reason])
        return Annotations.from_rows(self.rows)

    def report_programs(self) -> None:
        """Say how many rows of programs count as labels."""
        if self.num_by_programs:
            weight = "their own weight" if self.program is None else f"weight {self.program.weight:g}"
            logger.warning("%d label rows that a program wrote count as labels, with %s", self.num_by_programs, weight)

    def _row(self, read: ReadTable, selection: Selection, source: str) -> dict[str, Any] | None:
        weight = self._weight(read, selection, source)
        if weight is None:
            return None
        meaning = self._meaning(selection, source)
        name = self.recording_of(read.table, selection)
        if selection.score:
            self.num_by_programs += 1
        else:
            self.recordings.add(name)
        if meaning is None:
            return None
        start_s, end_s = _times(selection)
        songtype_id = parse_whole("songtype", selection.songtype) if selection.songtype else meaning.songtype_id
        low_hz, high_hz = self._band(selection, meaning.species_id, songtype_id)
        row = {
            "recording_id": name,
            "species_id": meaning.species_id,
            "songtype_id": songtype_id,
            "t_min": start_s,
            "f_min": low_hz,
            "t_max": end_s,
            "f_max": high_hz,
            "state": selection.state or meaning.state,
            "weight": weight,
            "source": source,
            "weak": selection.weak or not selection.end,
            "annotator": selection.annotator,
        }
        check_box(row, self.labels.species)
        return row

    def _meaning(self, selection: Selection, source: str) -> Meaning | None:
        """What the label says; None where it is to be skipped."""
        if selection.species_id:
            species_id = parse_whole("species_id", selection.species_id)
            return Meaning(species_id, self.labels.species.first_songtype(species_id), "present")
        words = selection.label, selection.label_too
        if words not in self._meanings:
            self._meanings[words] = self._look_up(*words)
        meaning = self._meanings[words]
        if isinstance(meaning, ValueError):
            if selection.label and not is_unsure(selection.label):
                raise meaning
            self._leave_out("their label ends in a question mark" if selection.label else "they have no label", source)
            return None
        return meaning

    def _look_up(self, label: str, other: str) -> Meaning | ValueError | None:
        try:
            return self.labels[other if other and label not in self.labels and other in self.labels else label]
        except ValueError as error:
            return error

    def _weight(self, read: ReadTable, selection: Selection, source: str) -> float | None:
        """The row's weight; None for a program's word that does not count."""
        weight = parse_number("weight", selection.weight) if selection.weight else 1.0
        if not selection.score:
            return weight
        if self.program is None and read.named:
            return weight
        if self.program is None:
            reason = "a program wrote them, not a person; data.program.min_confidence=0.9 would use the surest"
        elif parse_number("score", selection.score) < self.program.min_confidence:
            reason = f"a program wrote them with less than data.program.min_confidence={self.program.min_confidence:g}"
        else:
            return weight * self.program.weight
        self._leave_out(reason, source)
        return None

    def _band(self, selection: Selection, species_id: int, songtype_id: int) -> tuple[float, float]:
        call = self.labels.species.typical_call(species_id, songtype_id)
        usual = (call.band_hz if call else None) or UNKNOWN_BAND_HZ
        low, high = selection.low.strip(), selection.high.strip()
        return (
            parse_number("low frequency", low) if low else usual[0],
            parse_number("high frequency", high) if high else usual[1],
        )

    def _note_empty(self, table: LabelTable) -> None:
        """A person's table without rows: its recording, where it has one, was listened to."""
        try:
            self.recordings.add(self.recording_of(table, Selection(1, "", "", "")))
        except ValueError:
            logger.info("%s: has no rows and belongs to no recording", table.path)

    def _leave_out(self, reason: str, source: str) -> None:
        self.left_out[reason] += 1
        self.first.setdefault(reason, source)


def _times(selection: Selection) -> tuple[float, float]:
    if not selection.start and not selection.end:
        return 0.0, math.inf
    start_s, end_s = parse_number("begin time", selection.start), parse_number("end time", selection.end)
    if selection.offset:
        offset_s = parse_number("file offset", selection.offset)
        start_s, end_s = offset_s, round(offset_s + (end_s - start_s), 9)  # decimals again
    return start_s, end_s
