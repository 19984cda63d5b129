"""Folds and test part of a data set as its settings want them: groups looked up, dealt or read from a file, checked."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.data.recordings import RecordingsTable
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.data.sources import Sources
from rfcx_ssl.data.when import recorded_on
from rfcx_ssl.errors import AnnotationError, did_you_mean, some_of
from rfcx_ssl.files import iter_csv
from rfcx_ssl.folds import TEST, Folds, deal_test, make_folds

logger = logging.getLogger(__name__)

MOST_LISTED = 10


def corpus_folds(
    settings: DataSettings, sources: Sources, annotations: Annotations, recording_ids: Collection[str]
) -> Folds:
    """Folds of every annotated recording: from ``folds_file`` if it exists, else dealt (and written there).

    Args:
        settings: what to group by, how many folds, which test part.
        sources: what the tables say of recordings, and what species are called.
        annotations: labels of the recordings.
        recording_ids: annotated recordings and others, of which the groups alone are looked up.

    Raises:
        AnnotationError: recordings without a group, too few groups, a group in two parts, or a file that does not fit.
    """
    path = settings.folds_file
    groups = read_groups(settings, sources.table, recording_ids, annotations.recording_ids)
    if path is not None and path.exists():
        folds = _read_folds(path, annotations.recording_ids, recording_ids, settings, groups, sources.find)
    else:
        folds = _deal(settings, annotations, recording_ids, groups, sources.find)
        if path is not None:
            folds.save(path)
    _warn_lonely(annotations, folds, settings.group_by, sources.species.names)
    return folds


def read_groups(
    settings: DataSettings, table: RecordingsTable, recording_ids: Iterable[str], need: Collection[str] = ()
) -> dict[str, str] | None:
    """Group of each recording that has one, by ``data.group_by``; None where each recording is a group of its own.

    Raises:
        AnnotationError: there is no such column, or a recording of ``need`` has no group.
    """
    by, path = settings.group_by, settings.root / RECORDINGS_TABLE
    if by == "recording":
        return None
    if by == "day":
        days = {name: recorded_on(name, table.get(name, {})) for name in recording_ids}
        groups = {name: day.isoformat() for name, day in days.items() if day is not None}
        what = f"date in {path} (column date or datetime) or in their name"
    else:
        columns = next(iter(table.values()), {})
        groups = {name: cell for name in recording_ids if (cell := table.get(name, {}).get(by))}
        if not groups:
            hint = "" if by in columns else did_you_mean(by, columns)
            raise AnnotationError(f"data.group_by={by} needs {path} with a column {by}{hint}")
        what = f"{by} in {path}"
    if homeless := [name for name in sorted(need) if name not in groups]:
        raise AnnotationError(
            f"{len(homeless)} recordings have no {what} (first: {homeless[0]}); data.group_by={by} needs one each"
        )
    return groups


def read_test_ids(path: Path, find: Callable[[str], str] = str) -> frozenset[str]:
    """Recordings of a test part: ids, one a line (``#`` starts a comment), or the rows of a table whose split is test.

    A table has a header with ``recording_id`` (or ``file``) and ``split``, as ``recordings.csv``. ``find`` tells which recording a
    name means.

    Raises:
        AnnotationError: the file cannot be read, or names nothing.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a list of recordings ({error})") from None
    lines = [line for line in lines if line and not line.startswith("#")]
    if lines and {"recording_id", "file"}.intersection(lines[0].split(",")):
        rows = iter_csv(path, ("split",), None)
        lines = [cells.get("file") or cells["recording_id"] for _, cells in rows if cells["split"] == TEST]
    try:
        ids = frozenset(map(find, lines))
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None
    if not ids:
        raise AnnotationError(f"{path}: names no recording of the test part")
    return ids


def _deal(
    settings: DataSettings,
    annotations: Annotations,
    recording_ids: Collection[str],
    groups: Mapping[str, str] | None,
    find: Callable[[str], str],
) -> Folds:
    names, seed = annotations.recording_ids, settings.seed
    test_ids = _listed_test_ids(settings, recording_ids, find)
    if settings.test_share is not None:
        test_ids = deal_test(annotations, names, settings.test_share, seed=seed, group_of=groups)
    rest = [name for name in names if name not in test_ids]
    folds = make_folds(annotations, rest, num_folds=settings.num_folds, seed=seed, group_of=groups)
    own = {name: name for name in test_ids}  # of recordings without labels whose group nobody told
    try:
        return Folds(folds.fold_of, {**own, **(groups or {}), **folds.group_of}, folds.num_folds, test_ids)
    except AnnotationError as error:
        raise AnnotationError(f"{settings.test_file}: {error}") from None


def _listed_test_ids(
    settings: DataSettings, recording_ids: Collection[str], find: Callable[[str], str]
) -> frozenset[str]:
    """What ``test_file`` names among these recordings; the others are reported."""
    if settings.test_file is None:
        return frozenset()
    listed = read_test_ids(settings.test_file, find)
    found = listed.intersection(recording_ids)
    if not found:
        raise AnnotationError(f"{settings.test_file}: none of its {len(listed)} recordings has labels")
    if foreign := sorted(listed - found):
        logger.warning(
            "%s: %d of %d recordings have no labels here (first: %s)",
            settings.test_file, len(foreign), len(listed), foreign[0],
        )  # fmt: skip
    return found


def _read_folds(
    path: Path,
    names: Collection[str],
    recording_ids: Collection[str],
    settings: DataSettings,
    groups: Mapping[str, str] | None,
    find: Callable[[str], str],
) -> Folds:
    """Folds of a file for these recordings and no others; no group of the data may have recordings in two parts."""
    folds = Folds.load(path)
    if folds.num_folds != settings.num_folds:
        raise AnnotationError(f"{path}: has {folds.num_folds} folds, data.num_folds={settings.num_folds}")
    missing = [name for name in names if name not in folds.fold_of and name not in folds.test_ids]
    if missing:
        raise AnnotationError(f"{path}: {len(missing)} recordings have no fold (first: {missing[0]}); delete the file")
    test_ids = folds.test_ids.intersection(recording_ids)
    if settings.test_share is not None and not folds.test_ids:
        raise AnnotationError(f"{path}: has no test part, data.test_share={settings.test_share:g}; delete the file")
    if settings.test_file is not None and test_ids != _listed_test_ids(settings, recording_ids, find):
        raise AnnotationError(f"{path}: its test part is not that of {settings.test_file}; delete the file")
    fold_of = {name: folds.fold_of[name] for name in names if name not in test_ids}
    if groups is None:
        return Folds(fold_of, {n: folds.group_of[n] for n in (*fold_of, *test_ids)}, folds.num_folds, test_ids)
    try:
        return Folds(fold_of, {**{name: name for name in test_ids}, **groups}, folds.num_folds, test_ids)
    except AnnotationError as error:
        by = settings.group_by
        raise AnnotationError(f"{path}: not folds by {by} (data.group_by={by}): {error}; delete the file") from None


def _warn_lonely(annotations: Annotations, folds: Folds, group_by: str, species_names: Sequence[str]) -> None:
    """Report species that no fold can both learn and validate, and those that only the test part holds."""
    table = annotations.table[annotations.table["state"] == "present"]
    groups_of: dict[int, set[str]] = {}
    for name, species in zip(table["recording_id"].tolist(), table["species_id"].tolist(), strict=True):
        groups_of.setdefault(species, set()).update([] if name in folds.test_ids else [folds.group_of[name]])
    problems = (
        (1, f"in one {group_by} only: no fold both learns and validates them"),
        (0, "in the test part only: nothing learns them"),
    )
    for count, problem in problems:
        if found := [species_names[species] for species in sorted(groups_of) if len(groups_of[species]) == count]:
            logger.warning("%s: present %s", some_of(found, MOST_LISTED), problem)
