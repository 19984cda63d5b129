"""Reading every label source of a data set: RFCX's two tables, extra tables, complete recordings, full truth."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from rfcx_ssl.annotations.exchange import RAVEN_TIMES, read_audacity, read_raven
from rfcx_ssl.annotations.label_map import LabelMap, default_label_map, read_label_map
from rfcx_ssl.annotations.layout import ABSENT_TABLE, BOX_COLUMNS, PRESENT_TABLE
from rfcx_ssl.annotations.rows import iter_csv, read_table
from rfcx_ssl.annotations.table import Annotations, RowProblem, fail_on_problems
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import RFCX_NUM_SPECIES

logger = logging.getLogger(__name__)


def read_annotations(
    root: Path,
    *,
    extra_tables: Sequence[Path] = (),
    label_map: Path | None = None,
    complete: Iterable[str] = (),
    num_species: int = RFCX_NUM_SPECIES,
) -> Annotations:
    """Read ``root/train_tp.csv`` (present), ``root/train_fp.csv`` (absent inside the box) and extra tables.

    Args:
        root: folder in RFCX's layout; ``train_fp.csv`` may be missing, ``train_tp.csv`` may not.
        extra_tables: more tables in the same schema (a row without a ``state`` column is ``present``), Raven selection
            tables, Audacity label tracks, or folders of them.
        label_map: table of what the labels of Raven and Audacity mean; None understands ``s3`` and species' names.
        complete: recordings in which every call is marked, so that everything else is absent.
        num_species: number of species of the label space.

    Raises:
        AnnotationError: for a missing table or a wrong row, naming file and line.
    """
    if not root.is_dir():
        raise AnnotationError(f"data.root={root} is not a folder")
    parts = [read_table(root / PRESENT_TABLE, state="present", num_species=num_species)]
    if (root / ABSENT_TABLE).is_file():
        parts.append(read_table(root / ABSENT_TABLE, state="absent", num_species=num_species))
    else:
        logger.warning("%s has no %s: no species will be known to be absent", root, ABSENT_TABLE)
    labels = read_label_map(label_map, num_species) if label_map else default_label_map()
    parts += [read_extra(path, labels, num_species=num_species) for path in extra_tables]
    return Annotations.concat([*parts, Annotations.from_rows([], complete)])


def read_extra(path: Path, labels: LabelMap, *, num_species: int = RFCX_NUM_SPECIES) -> Annotations:
    """Read one extra label file, or every ``.csv``, ``.txt`` and ``.tsv`` of a folder; the kind is seen from its head.

    Raises:
        AnnotationError: the file is none of the three kinds, or one of its rows is wrong.
    """
    if path.is_dir():
        files = sorted(item for item in path.iterdir() if item.suffix.lower() in (".csv", ".txt", ".tsv"))
        if not files:
            raise AnnotationError(f"{path}: holds no .csv, .txt or .tsv label table")
        return Annotations.concat([read_extra(item, labels, num_species=num_species) for item in files])
    try:
        with path.open(encoding="utf-8-sig") as lines:
            head = lines.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
    if RAVEN_TIMES[0] in head and "\t" in head:
        return read_raven(path, labels, num_species=num_species)
    if path.suffix.lower() == ".csv" or "recording_id" in head:
        return read_table(path, state="present", num_species=num_species)
    return read_audacity(path, labels, num_species=num_species)


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


def read_truth_events(path: Path, *, split: str | None = None, num_species: int = RFCX_NUM_SPECIES) -> Annotations:
    """Read a ``truth.csv`` (RFCX's columns and ``split``): every call of every recording, all of them complete.

    Recordings without a single call are not in this table: take the list of recordings from elsewhere.

    Raises:
        AnnotationError: for a wrong row, naming file and line, or a split without rows.
    """
    table = read_table(path, state="present", num_species=num_species)
    if split is None:
        return Annotations(table.table, table.recording_ids)
    splits = {cells["recording_id"]: cells["split"] for _, cells in iter_csv(path, (*BOX_COLUMNS, "split"))}
    wanted = {recording_id for recording_id, name in splits.items() if name == split}
    if not wanted:
        raise AnnotationError(f"{path}: no row has split={split!r}; have {', '.join(sorted(set(splits.values())))}")
    return Annotations(table.select(wanted).table, wanted)
