"""From edited labels to a table that training reads: present and absent boxes with weight and annotator."""

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from rfcx_ssl.annotations import (
    UNKNOWN_BAND_HZ,
    LabelMap,
    RowProblem,
    default_label_map,
    fail_on_problems,
)
from rfcx_ssl.annotations.layout import SPECIES_TABLE
from rfcx_ssl.annotations.rows import check_box
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.files import iter_csv, write_csv
from rfcx_ssl.review.grammar import Said, is_note, is_ruled_out, read_label
from rfcx_ssl.review.plan import Item, read_plan
from rfcx_ssl.review.tables import AUDACITY_TABLE, RAVEN_TABLE, SOUND, Label, parse_number, read_labels
from rfcx_ssl.species import SpeciesTable, read_species

#: Of the plain label table (:mod:`rfcx_ssl.annotations.kinds.plain`): files by their path, species by their name.
ANSWER_COLUMNS = (
    "file", "start_s", "end_s", "label", "low_hz", "high_hz", "state", "songtype", "weight", "annotator", "weak",
)  # fmt: skip
RECORD = "review.json"
_MOVED_S, _MOVED_HZ = 0.02, 1.0  # tables round: less is no move


@dataclass(frozen=True)
class Answers:
    """What was said in ``table``: rows of :data:`ANSWER_COLUMNS`, and what became of each question that was listened to."""

    table: Path
    rows: list[dict[str, Any]]
    outcome: dict[Item, str]  # present, absent, unsure, or none where no label is left

    def write(self, path: Path) -> None:
        """Write the table, atomically."""
        write_csv(path, ANSWER_COLUMNS, ([row[name] for name in ANSWER_COLUMNS] for row in self.rows))

    def summary(self) -> str:
        """Lines for people: counts, and how often each kind of question was answered with yes."""
        counts, kinds = Counter(self.outcome.values()), sorted({item.why for item in self.outcome})
        by_kind = {why: Counter(what for item, what in self.outcome.items() if item.why == why) for why in kinds}
        heard = ", ".join(f"{why} {of['present']} of {of['present'] + of['absent']}" for why, of in by_kind.items())
        return (
            f"{self.table}: {len(self.outcome)} questions, {counts['present']} present, {counts['absent']} absent, "
            f"{counts['unsure']} unsure, {counts['none']} without a label; {len(self.rows)} boxes\nheard: {heard}\n"
        )


def read_review(
    folder: Path, *, annotator: str, weight: float = 1.0, table: Path | None = None, upto: int | None = None
) -> Answers:
    """The answers in a folder that :func:`rfcx_ssl.review.write.write_review` made, or in a ``table`` beside its plan.

    Raises:
        AnnotationError: as of :func:`edited_table` and :func:`read_answers`.
    """
    items, names = read_plan(folder), names_of_review(folder)
    return read_answers(table or edited_table(folder), items, names, annotator=annotator, weight=weight, upto=upto)


def names_of_review(folder: Path) -> LabelMap:
    """What the labels of a review may say: the species of its model."""
    return default_label_map(read_species(folder / SPECIES_TABLE))


def edited_table(folder: Path) -> Path:
    """The one table of a review's folder that is no longer as it was written.

    Raises:
        AnnotationError: neither is, or both are.
    """
    written = read_record(folder)["tables"]
    paths = [folder / name for name in (RAVEN_TABLE, AUDACITY_TABLE)]
    edited = [path for path in paths if path.is_file() and digest(path.read_bytes()) != written[path.name]]
    if len(edited) != 1:
        what = "neither" if not edited else "both"
        verb = "is" if not edited else "are"
        raise AnnotationError(
            f"{folder}: {what} of {RAVEN_TABLE} and {AUDACITY_TABLE} {verb} changed; say which to read with --table FILE"
        )
    return edited[0]


def read_record(folder: Path) -> dict[str, Any]:
    """``review.json``: what was asked with which model, and the digests of the tables as they were written.

    Raises:
        AnnotationError: it is missing or no JSON.
    """
    path = folder / RECORD
    try:
        record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AnnotationError(
            f"{path}: cannot be read; is {folder} what rfcx-ssl review --out wrote? ({error})"
        ) from None
    return record


def digest(content: bytes) -> str:
    """Digest of a table, whatever its line ends."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def read_answers(
    table: Path,
    items: Sequence[Item],
    names: LabelMap,
    *,
    annotator: str,
    weight: float = 1.0,
    upto: int | None = None,
) -> Answers:
    """What the labels of ``table`` say about ``items``, of which only the first ``upto`` were listened to.

    A label belongs to the clip that its middle lies in, and is cut off at the clip's ends. Present in a stretch that was
    chosen blindly is `weak`, somewhere in the box, unless the person moved the box.

    Raises:
        AnnotationError: naming file and line of an unknown species or a box that is broken or outside all clips.
        ConfigError: a weight or a number of clips without a meaning.
    """
    if not 0 < weight <= 1:
        raise ConfigError(f"--weight {weight:g} must be above 0 and at most 1")
    if upto is not None and not 1 <= upto <= len(items):
        raise ConfigError(f"--upto {upto} must be 1 to {len(items)}, the number of clips")
    common = {"weight": weight, "annotator": annotator}
    by_clip: dict[int, list[_Read]] = {}
    problems: list[RowProblem] = []
    for label in (label for label in read_labels(table) if not is_note(label.text)):
        try:
            read = _read(label, items, names, common)
        except ValueError as error:
            problems.append(RowProblem(label.source, str(error)))
        else:
            by_clip.setdefault(read.item.question, []).append(read)
    fail_on_problems(problems)
    rows: list[dict[str, Any]] = []
    outcome: dict[Item, str] = {}
    for item in items[:upto]:
        said = [(read.said, read.row) for read in by_clip.get(item.question, [])]
        spoken, outcome[item] = _speak(item, said, names, common)
        rows += spoken
    return Answers(table, rows, outcome)


def contradictions(answers: Answers, others: Sequence[Path]) -> list[str]:
    """A sentence for each answer that an overlapping box of the same species in other tables of answers contradicts.

    Raises:
        AnnotationError: naming file and line, if one of ``others`` is no table of answers.
    """
    said: dict[tuple[str, str], list[dict[str, str]]] = {}
    for path in others:
        for line, cells in iter_csv(path, ANSWER_COLUMNS):
            for name in ("start_s", "end_s"):
                parse_number(f"{path}:{line}", name, cells[name])
            said.setdefault((cells["file"], cells["label"]), []).append(cells)
    lines = []
    for row in answers.rows:
        for other in said.get((row["file"], row["label"]), ()):
            overlaps = float(other["start_s"]) < row["end_s"] and row["start_s"] < float(other["end_s"])
            if overlaps and other["state"] != row["state"]:
                lines.append(
                    f"{Path(row['file']).name} {row['start_s']:.2f} s: {row['label']} is {row['state']} for "
                    f"{row['annotator']}, {other['state']} for {other['annotator']}"
                )
    return lines


def answer_rows(
    item: Item, text: str, names: LabelMap, *, annotator: str, weight: float = 1.0
) -> tuple[list[dict[str, Any]], str]:
    """What one label ``text``, with the box where ``item`` has it, says: rows of :data:`ANSWER_COLUMNS`, and the outcome.

    The outcome is of the species that was asked about, as in :class:`Answers`.

    Raises:
        AnnotationError: the text names an unknown species, or the box is broken.
    """
    common = {"weight": weight, "annotator": annotator}
    try:
        read = _read(Label("", text, *item.box_s, None, item.clip), [item], names, common)
    except ValueError as error:
        raise AnnotationError(f"{item.recording}, {item.start_s:.2f} s: {error}") from None
    return _speak(item, [(read.said, read.row)], names, common)


def _speak(
    item: Item, labels: Sequence[tuple[Said, dict[str, Any]]], names: LabelMap, common: dict[str, Any]
) -> tuple[list[dict[str, Any]], str]:
    """The rows of a question's labels, one more where they rule out the species that was asked about, and the outcome."""
    said, no = [what for what, _ in labels], read_label("no", item.species, names)
    rows = [row for what, row in labels if what.present is not None]
    if is_ruled_out(said, no.species_id):
        rows.append(_row(item, Label("", "", *item.box_s, None), no, names.species, common))
    return rows, _outcome(said, no.species_id)


class _Read(NamedTuple):
    """A label, read: the question whose clip it lies in, what it says, and as a row."""

    item: Item
    said: Said
    row: dict[str, Any]


def _read(label: Label, items: Sequence[Item], names: LabelMap, common: dict[str, Any]) -> _Read:
    """``ValueError`` says what is wrong with a label."""
    item = _clip_of(label, items)
    said = read_label(label.text, item.species, names)
    return _Read(item, said, _row(item, label, said, names.species, common))


def _clip_of(label: Label, items: Sequence[Item]) -> Item:
    """The question in whose clip the middle of a label lies; ``ValueError`` where there is none, or another is named."""
    middle_s = (label.start_s + label.end_s) / 2
    item = next((item for item in items if item.at_s <= middle_s <= item.at_s + item.clip_s), None)
    if item is None:
        raise ValueError(f"label {label.text!r} at {middle_s:.2f} s lies outside all clips")
    if label.file != item.clip and label.file in {other.clip for other in items}:
        raise ValueError(
            f"label {label.text!r} at {middle_s:.2f} s lies in clip {item.question}, the table says {label.file}: "
            f"open {SOUND}, or all clips as one sequence"
        )
    return item


def _row(item: Item, label: Label, said: Said, species: SpeciesTable, common: dict[str, Any]) -> dict[str, Any]:
    """A row of the table; ``ValueError`` for a broken box."""
    start_s = max(label.start_s, item.at_s) - item.at_s + item.clip_start_s
    end_s = min(label.end_s, item.at_s + item.clip_s) - item.at_s + item.clip_start_s
    moved = max(abs(start_s - item.start_s), abs(end_s - item.end_s)) > _MOVED_S
    low_hz, high_hz = _band(item, label, said, species)
    state = "present" if said.present else "absent"
    box = {"t_min": start_s, "t_max": end_s, "f_min": low_hz, "f_max": high_hz, "state": state}
    check_box({"recording_id": item.recording, "species_id": said.species_id, **box, **common}, species)
    known = (low_hz, high_hz) != UNKNOWN_BAND_HZ
    return {
        "file": item.file,
        "start_s": round(start_s, 4),
        "end_s": round(end_s, 4),
        "label": species.names[said.species_id],
        "low_hz": low_hz if known else "",
        "high_hz": high_hz if known else "",
        "state": state,
        "songtype": said.songtype_id,
        "weak": "yes" if said.present and item.why == "random" and not moved else "no",
        **common,
    }


def _band(item: Item, label: Label, said: Said, species: SpeciesTable) -> tuple[float, float]:
    """The band that a person drew; where it is still as it was shown, that of the species that is said."""
    shown_hz = (item.low_hz, item.high_hz)
    drawn_hz = label.band_hz or shown_hz
    if max(abs(drawn - shown) for drawn, shown in zip(drawn_hz, shown_hz, strict=True)) <= _MOVED_HZ:
        return species.band_hz(said.species_id) or UNKNOWN_BAND_HZ
    return drawn_hz


def _outcome(said: Sequence[Said], asked: int) -> str:
    """What became of the question about species ``asked``."""
    mine = {what.present for what in said if what.species_id == asked}
    if True in mine:
        return "present"
    if False in mine or is_ruled_out(said, asked):
        return "absent"
    return "unsure" if None in mine else "none"
