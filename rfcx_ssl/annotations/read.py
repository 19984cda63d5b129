"""Reading every label source of a data set: RFCX's two tables, extra tables, complete recordings, full truth."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from rfcx_ssl.annotations.exchange import (
    DETECTION_COLUMNS,
    RAVEN_TIMES,
    read_audacity,
    read_detections,
    read_raven,
    recording_of_table,
)
from rfcx_ssl.annotations.label_map import LabelMap, default_label_map, read_label_map
from rfcx_ssl.annotations.layout import ABSENT_TABLE, PRESENT_TABLE
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.annotations.table import Annotations, RowProblem, fail_on_problems
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.species.table import SpeciesTable

logger = logging.getLogger(__name__)


def read_annotations(
    root: Path,
    *,
    extra_tables: Sequence[Path] = (),
    label_map: Path | None = None,
    complete: Iterable[str] = (),
    species: SpeciesTable,
) -> Annotations:
    """Read ``root/train_tp.csv`` (present), ``root/train_fp.csv`` (absent inside the box) and extra tables.

    Args:
        root: folder in RFCX's layout; ``train_fp.csv`` may be missing, ``train_tp.csv`` may not.
        extra_tables: more tables in the same schema (a row without a ``state`` column is ``present``), Raven selection
            tables, Audacity label tracks, events of ``rfcx-ssl detect``, or folders of them.
        label_map: table of what the labels of Raven and Audacity mean; None understands ``s3`` and species' names.
        complete: recordings in which every call is marked, so that everything else is absent.
        species: the project's species; ids are positions in its table.

    Raises:
        AnnotationError: for a missing table or a wrong row, naming file and line.
    """
    if not root.is_dir():
        raise AnnotationError(f"data.root={root} is not a folder")
    parts = [read_table(root / PRESENT_TABLE, state="present", species=species)]
    if (root / ABSENT_TABLE).is_file():
        parts.append(read_table(root / ABSENT_TABLE, state="absent", species=species))
    else:
        logger.warning("%s has no %s: no species will be known to be absent", root, ABSENT_TABLE)
    labels = read_label_map(label_map, species) if label_map else default_label_map(species)
    parts += [read_extra(path, labels) for path in extra_tables]
    return Annotations.concat([*parts, Annotations.from_rows([], complete)])


def read_extra(path: Path, labels: LabelMap) -> Annotations:
    """Read one extra label file, or every ``.csv``, ``.txt`` and ``.tsv`` below a folder; the kind is seen from its head.

    Kinds are RFCX's columns, ``events.csv`` of ``rfcx-ssl detect``, Raven selection tables and Audacity label tracks.
    In a folder, ``a/b.labels.txt`` belongs to the recording ``a/b``, as ``rfcx-ssl detect`` names its tables.

    Raises:
        AnnotationError: the file is none of these kinds, or one of its rows is wrong.
    """
    if not path.is_dir():
        return _read_one(path, recording_of_table(path), labels)
    files = sorted(item for item in path.rglob("*") if _is_table(item.relative_to(path)) and item.is_file())
    if not files:
        raise AnnotationError(f"{path}: holds no .csv, .txt or .tsv label table")
    names = [(item.relative_to(path).parent / recording_of_table(item)).as_posix() for item in files]
    pairs = zip(files, names, strict=True)
    return Annotations.concat([_read_one(item, name, labels) for item, name in pairs])


def _is_table(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in (".csv", ".txt", ".tsv") and not hidden


def _read_one(path: Path, recording_id: str, labels: LabelMap) -> Annotations:
    """One label file; ``recording_id`` is the recording of a table that names none."""
    try:
        with path.open(encoding="utf-8-sig") as lines:
            head = lines.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
    if RAVEN_TIMES[0] in head and "\t" in head:
        return read_raven(path, labels, recording_id=recording_id)
    if head.startswith(f"{','.join(DETECTION_COLUMNS[:4])},"):
        return read_detections(path, labels)
    if path.suffix.lower() == ".csv" or "recording_id" in head:
        return read_table(path, state="present", species=labels.species)
    return read_audacity(path, labels, recording_id=recording_id)


def read_complete(path: Path) -> frozenset[str]:
    """Read the ids of complete recordings, one a line; empty lines and lines that start with ``#`` are skipped."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from None
    ids = [line.strip() for line in lines]
    wrong = [RowProblem(f"{path}:{n}", f"{text!r} is not one recording id") for n, text in enumerate(ids, 1) if " " in text
             and not text.startswith("#")]  # fmt: skip
    fail_on_problems(wrong)
    return frozenset(text for text in ids if text and not text.startswith("#"))


def read_truth_events(path: Path, *, species: SpeciesTable, split: str | None = None) -> Annotations:
    """Read a ``truth.csv``: RFCX's columns, every call of every recording, all of them complete.

    ``split`` chooses the rows that name it in the column ``split``; a table without that column is one split, and a
    row without ``songtype_id`` means its species' first song type. Recordings without a single call are not in this
    table: :func:`rfcx_ssl.data.load_truth` knows them from the audio.

    Raises:
        AnnotationError: for a wrong row, naming file and line, or a split without rows.
    """
    table = read_table(path, state="present", species=species, need_songtypes=False).table
    if split is not None:
        rows = [(line, cells.get("split")) for line, cells in iter_csv(path, ("recording_id",), ("split",))]
        names = sorted({name for _, name in rows if name is not None})
        if names and split not in names:
            raise AnnotationError(f"{path}: no row has split={split!r}; have {', '.join(names)}")
        table = table[table["source"].isin([f"{path}:{line}" for line, name in rows if name in (split, None)])]
    return Annotations(table, set(table["recording_id"]))
