"""Reading every label source of a data set: RFCX's two tables, extra tables, complete recordings, full truth."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath

from rfcx_ssl.annotations.audio_index import without_suffix
from rfcx_ssl.annotations.convert import Conversion, ReadTable
from rfcx_ssl.annotations.exchange import Selection, recording_of_table
from rfcx_ssl.annotations.kinds import TABLE_SUFFIXES, LabelTable, kind_of
from rfcx_ssl.annotations.label_map import LabelMap, default_label_map, read_label_map
from rfcx_ssl.annotations.layout import ABSENT_TABLE, PRESENT_TABLE, TRUTH_COLUMNS
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.annotations.table import Annotations, Span
from rfcx_ssl.audio.find import without_part
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv, name_of_safe
from rfcx_ssl.species.table import SpeciesTable

logger = logging.getLogger(__name__)


def read_annotations(
    root: Path,
    *,
    extra_tables: Sequence[Path] = (),
    label_map: Path | None = None,
    complete: Mapping[str, Sequence[Span]] | Iterable[str] = (),
    species: SpeciesTable,
) -> Annotations:
    """Read ``root/train_tp.csv`` (present), ``root/train_fp.csv`` (absent inside the box) and extra tables.

    Args:
        root: folder in RFCX's layout; ``train_fp.csv`` may be missing, ``train_tp.csv`` may not.
        extra_tables: more tables in the same schema (a row without a ``state`` column is ``present``) or of any other
            kind (:data:`rfcx_ssl.annotations.kinds.KINDS`), or folders of them.
        label_map: table of what labels mean; None understands ``s3`` and species' names.
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
    conversion = Conversion(labels, stem_id)
    for path in extra_tables:
        for table in tables_of(path):
            conversion.add(table)
    parts.append(conversion.annotations())
    conversion.report_programs()
    return Annotations.concat([*parts, Annotations.from_rows([], complete)])


def read_extra(path: Path, labels: LabelMap) -> Annotations:
    """Read one extra label table, or every ``.csv``, ``.txt`` and ``.tsv`` below a folder; the kind is seen from its head.

    In a folder, ``a/b.labels.txt`` belongs to the recording ``a/b``, as ``rfcx-ssl detect`` names its tables.

    Raises:
        AnnotationError: the file is of no kind that is known, or one of its rows is wrong.
    """
    conversion = Conversion(labels, file_stem)
    for table in tables_of(path):
        conversion.add(table)
    return Annotations.concat([conversion.annotations()])


def tables_of(path: Path) -> Iterator[ReadTable]:
    """The table that a user named, or all of the folder; errors of :func:`read_extra`."""
    if not path.is_dir():
        yield _read_named(path, recording_of_table(path))
        return
    files = sorted(item for item in path.rglob("*") if _is_table(item.relative_to(path)) and item.is_file())
    if not files:
        raise AnnotationError(f"{path}: holds no .csv, .txt or .tsv label table")
    for item in files:
        folder = item.relative_to(path).parent.as_posix()
        name = recording_of_table(item)
        yield _read_named(item, name if folder == "." else f"{name_of_safe(folder)}/{name}")


def file_stem(table: LabelTable, selection: Selection) -> str:
    """The recording of a row where ids are the stems of files: of an audio file's path its stem, else what is written."""
    cell = selection.file or table.recording
    name = without_suffix(cell)
    return cell if name == cell else PureWindowsPath(name).name  # takes both kinds of slashes


def stem_id(table: LabelTable, selection: Selection) -> str:
    """The recording of a row in RFCX's layout: what detection calls ``train/a``, or ``a@10-25`` (a part), is ``a``."""
    return without_part(PureWindowsPath(file_stem(table, selection)).name)


def _is_table(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() in TABLE_SUFFIXES and not hidden


def _read_named(path: Path, recording: str) -> ReadTable:
    table = LabelTable.read(path, recording)
    kind = kind_of(table)
    if kind is None:
        raise AnnotationError(
            f"{path}:1: no kind of label table that is known (docs/labels.md); it starts {table.first_line[:80]!r}"
        )
    return ReadTable(table, kind, list(kind.read(table)), named=True)


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
        rows = [
            (line, cells.get("split"))
            for line, cells in iter_csv(path, ("recording_id",), ("split",), others=TRUTH_COLUMNS)
        ]
        names = sorted({name for _, name in rows if name is not None})
        if names and split not in names:
            raise AnnotationError(f"{path}: no row has split={split!r}; have {', '.join(names)}")
        table = table[table["source"].isin([f"{path}:{line}" for line, name in rows if name in (split, None)])]
    return Annotations(table, set(table["recording_id"]))
