"""The labels of any project: tables of every kind, found beside the audio at any depth below one folder."""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rfcx_ssl.annotations.audio_index import AudioIndex
from rfcx_ssl.annotations.complete import Spans, complete_column, read_complete
from rfcx_ssl.annotations.convert import Conversion, NoAudio, ProgramRule, ReadTable
from rfcx_ssl.annotations.infer import infer_species
from rfcx_ssl.annotations.kinds import TABLE_SUFFIXES, LabelTable, kind_of
from rfcx_ssl.annotations.kinds.plain import OPTIONAL, REQUIRED
from rfcx_ssl.annotations.label_map import default_label_map, mapped_names, read_label_map
from rfcx_ssl.annotations.layout import (
    QUARANTINE_TABLE,
    RECORDINGS_TABLE,
    SPECIES_TABLE,
    SUBMISSION_TABLE,
    TRUTH_TABLE,
)
from rfcx_ssl.annotations.read import tables_of
from rfcx_ssl.annotations.table import WHOLE, Annotations
from rfcx_ssl.errors import AnnotationError, some_of
from rfcx_ssl.species.read import read_species, write_species
from rfcx_ssl.species.table import SpeciesTable

logger = logging.getLogger(__name__)

#: What is complete beside the recordings that a list or recordings.csv names.
Complete = Literal["listed", "tables", "all"]
NO_LABELS = (SPECIES_TABLE, RECORDINGS_TABLE, TRUTH_TABLE, SUBMISSION_TABLE, QUARANTINE_TABLE)
MOST_LISTED = 5  # files in a message


@dataclass(frozen=True)
class Project:
    """What the tables of a project say."""

    species: SpeciesTable
    annotations: Annotations
    audio: AudioIndex
    kinds: Mapping[str, int]  # label tables by kind


@dataclass(frozen=True)
class ProjectFiles:
    """Where the labels of a project are; ``None`` and empty: not there."""

    root: Path
    species_file: Path | None = None  # None: root/species.csv; written where it does not exist
    audio_folders: Sequence[str] = (".",)
    extra_tables: Sequence[Path] = ()
    label_map: Path | None = None
    complete_file: Path | None = None
    others: Collection[Path] = ()  # tables that hold no labels

    @property
    def species_path(self) -> Path:
        """The table of species, read if it exists, else written."""
        return self.species_file or self.root / SPECIES_TABLE

    def found_tables(self) -> list[Path]:
        """Files below root that may be label tables by their name, in a fixed order."""
        named = (self.species_path, self.label_map, self.complete_file, *self.others, *self.extra_tables)
        known = {path.name: path.resolve() for path in named if path is not None}
        return [
            path
            for path in _walk(self.root, set())
            if path.name not in NO_LABELS and not (path.name in known and path.resolve() == known[path.name])
        ]


def read_project(
    files: ProjectFiles,
    *,
    complete: Complete = "listed",
    program: ProgramRule | None = None,
    allow_missing_audio: bool = False,
) -> Project:
    """Read every label table below ``files.root`` and the extra ones; species are inferred where no table lists them.

    Raises:
        AnnotationError: a wrong row (file and line), an unknown label, a table that is none, no table at all.
    """
    if not files.root.is_dir():
        raise AnnotationError(f"data.root={files.root} is not a folder")
    audio = AudioIndex(files.root, files.audio_folders)
    tables = [*_found(files), *(read for path in files.extra_tables for read in tables_of(path))]
    if not tables:
        raise AnnotationError(
            f"{files.root}: no label table below it; the plain kind is a CSV with the columns {', '.join(REQUIRED)} and any of "
            f"{', '.join(OPTIONAL)}"
        )
    path, is_new = files.species_path, not files.species_path.is_file()
    species = _infer(files, tables, program) if is_new else read_species(path)
    labels = read_label_map(files.label_map, species, path) if files.label_map else default_label_map(species, path)
    conversion = Conversion(labels, audio.recording_of, program, skip_no_audio=allow_missing_audio)
    for table in tables:
        conversion.add(table)
    annotations = conversion.annotations()
    conversion.report_programs()
    spans = _complete(files, species, audio, complete, conversion.recordings, allow_missing_audio)
    if is_new:
        _write(species, path)
    annotations = Annotations.concat([annotations, Annotations.from_rows([], spans)])
    if not annotations.has_negatives:
        logger.warning(
            "no recording is complete and no label says absent, so nothing is known to be absent: say what is complete "
            "with data.complete, data.complete_file or a column complete of recordings.csv"
        )
    return Project(species, annotations, audio, Counter(table.kind.name for table in tables))


def _found(files: ProjectFiles) -> Iterator[ReadTable]:
    """Label tables below root; other tables are named once, and one that was meant as a label table is an error."""
    others: list[Path] = []
    for path in files.found_tables():
        table = LabelTable.read(path)
        if kind := kind_of(table):
            yield ReadTable(table, kind, list(kind.read(table)))
        elif table.columns.intersection(("label", "start_s", "end_s")):
            raise AnnotationError(
                f"{path}:1: looks like a label table, but lacks the column "
                f"{', '.join(name for name in REQUIRED if name not in table.columns)}; a list of complete recordings "
                "is named by data.complete_file, a label map by data.label_map"
            )
        else:
            others.append(path)
    if others:
        names = [str(path.relative_to(files.root)) for path in others]
        logger.warning("%s: not label tables, left out: %s", files.root, some_of(names, MOST_LISTED))


def _infer(files: ProjectFiles, tables: Sequence[ReadTable], program: ProgramRule | None) -> SpeciesTable:
    """The species of all labels that count."""
    for read in tables:
        if ids := next((row for row in read.rows if row.species_id), None):
            raise AnnotationError(
                f"{read.table.path}:{ids.line}: species_id needs a table of species: write {files.species_path}"
            )
    rows = [row for read in tables for row in read.rows if not row.score or read.named or program is not None]
    return infer_species(rows, mapped_names(files.label_map) if files.label_map else {})


def _write(species: SpeciesTable, path: Path) -> None:
    try:
        write_species(species, path)
    except OSError as error:
        raise AnnotationError(
            f"{path}: the species that were inferred from the labels cannot be written there ({error}); name a place "
            "with data.species_file"
        ) from None
    logger.warning(
        "%d species inferred from the labels, written to %s; edit it to rename them, or to add codes and bands",
        len(species), path,
    )  # fmt: skip


def _complete(
    files: ProjectFiles,
    species: SpeciesTable,
    audio: AudioIndex,
    complete: Complete,
    with_tables: Collection[str],
    allow_missing_audio: bool,
) -> Spans:
    """Spans of every recording in which all was marked."""
    missing: list[str] = []

    def find(cell: str) -> str:
        try:
            return audio.find(cell)
        except NoAudio:
            if not allow_missing_audio:
                raise
            missing.append(cell)
            return ""

    spans = complete_column(files.root, find)
    if files.complete_file:
        for name, found in read_complete(files.complete_file, species, find).items():
            spans[name] = (*spans.get(name, ()), *found)
    if missing:
        logger.warning("%d complete recordings have no audio file (first: %s)", len(missing), missing[0])
    whole = {"listed": (), "tables": with_tables, "all": audio.paths}[complete]
    return {name: found for name, found in (spans | dict.fromkeys(whole, (WHOLE,))).items() if name}


def _walk(folder: Path, visited: set[tuple[int, int]]) -> Iterator[Path]:
    """Files with the suffix of a table, any depth, in a fixed order; hidden ones are left out, links never lead in circles."""
    status = folder.stat()
    if (status.st_dev, status.st_ino) in visited:
        return
    visited.add((status.st_dev, status.st_ino))
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), visited)
        elif entry.name.lower().endswith(TABLE_SUFFIXES) and entry.is_file():
            yield Path(entry.path)
