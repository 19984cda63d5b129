"""Cross-validation folds: multi-label stratified, grouped by recording or by site, saved to a file, checked."""

import csv
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import write_csv


@dataclass(frozen=True)
class Folds:
    """Fold of every recording, and the group (recording or site) that must not be split between folds."""

    fold_of: Mapping[str, int]
    group_of: Mapping[str, str]
    num_folds: int

    def __post_init__(self) -> None:
        check_no_leakage(self)

    @cached_property
    def recording_ids(self) -> list[str]:
        """All recordings, sorted."""
        return sorted(self.fold_of)

    def train_ids(self, fold: int | None) -> list[str]:
        """Recordings outside ``fold``; all of them for None."""
        return [name for name in self.recording_ids if self.fold_of[name] != fold]

    def valid_ids(self, fold: int) -> list[str]:
        """Recordings of ``fold``."""
        if not 0 <= fold < self.num_folds:
            raise AnnotationError(f"fold={fold} does not exist: must be 0 to {self.num_folds - 1}")
        return [name for name in self.recording_ids if self.fold_of[name] == fold]

    def select(self, recording_ids: Collection[str]) -> "Folds":
        """The part that concerns the given recordings; no fold is renumbered."""
        names = [name for name in self.recording_ids if name in recording_ids]
        return Folds(
            {name: self.fold_of[name] for name in names}, {name: self.group_of[name] for name in names}, self.num_folds
        )

    def save(self, path: Path) -> None:
        """Write ``recording_id,fold,group`` as CSV, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = ([name, self.fold_of[name], self.group_of[name]] for name in self.recording_ids)
        write_csv(path, ["recording_id", "fold", "group"], rows)

    @classmethod
    def load(cls, path: Path) -> "Folds":
        """Read what :meth:`save` wrote; :class:`AnnotationError` names file and line."""
        fold_of: dict[str, int] = {}
        group_of: dict[str, str] = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != ["recording_id", "fold", "group"]:
                    raise AnnotationError(f"{path}:1: the header must be recording_id,fold,group")
                for row in reader:
                    name, fold, group = row["recording_id"], row["fold"], row["group"]
                    if not (name and group and (fold or "").isdecimal()):
                        raise AnnotationError(
                            f"{path}:{reader.line_num}: needs a recording, a fold number and a group"
                        )
                    if name in fold_of:
                        raise AnnotationError(f"{path}:{reader.line_num}: recording {name} is listed twice")
                    fold_of[name], group_of[name] = int(fold), group
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise AnnotationError(f"{path}: cannot be read as a fold table ({error})") from None
        if not fold_of:
            raise AnnotationError(f"{path}: lists no recordings")
        return cls(fold_of, group_of, max(fold_of.values()) + 1)


def make_folds(
    annotations: Annotations,
    recording_ids: Sequence[str],
    *,
    num_folds: int,
    seed: int,
    group_of: Mapping[str, str] | None = None,
) -> Folds:
    """Deal recordings into folds so that every class is spread evenly, present and absent boxes apart.

    Iterative stratification (Sechidis et al., 2011) deals the rarest label first. The labels of a group are: which
    (species, song type) pairs it holds as present, and which as absent; a group without rows is dealt last.

    Args:
        annotations: rows of any recordings; those of ``recording_ids`` count.
        recording_ids: recordings to deal, in any order.
        num_folds: number of folds, at least 2.
        seed: breaks ties; the same seed and table give the same folds.
        group_of: group of each recording, e.g. its site; None keeps each recording a group of its own.

    Raises:
        AnnotationError: fewer groups than folds, or a recording without a group.
    """
    names = sorted(set(recording_ids))
    groups = {name: name for name in names} if group_of is None else dict(group_of)
    missing = [name for name in names if name not in groups]
    if missing:
        raise AnnotationError(f"{len(missing)} recordings have no group (first: {missing[0]}); folds need one each")
    group_names = sorted({groups[name] for name in names})
    if num_folds < 2 or len(group_names) < num_folds:
        raise AnnotationError(f"num_folds={num_folds} must be at least 2 and at most the {len(group_names)} groups")
    labels = _group_labels(annotations, names, groups, group_names)
    splitter = MultilabelStratifiedKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    fold_of_group: dict[str, int] = {}
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(group_names)), labels)):
        fold_of_group.update((group_names[i], fold) for i in held_out)
    fold_of = {name: fold_of_group[groups[name]] for name in names}
    return Folds(fold_of, {name: groups[name] for name in names}, num_folds)


def _group_labels(
    annotations: Annotations, names: Sequence[str], groups: Mapping[str, str], group_names: Sequence[str]
) -> NDArray[np.int64]:
    """Indicator matrix (groups, labels); two columns more than labels keep it multi-label for tiny tables."""
    row_of = {group: row for row, group in enumerate(group_names)}
    table = annotations.select(names).table
    keys = list(zip(table["state"], table["species_id"], table["songtype_id"], strict=True))
    column_of = {key: column for column, key in enumerate(sorted(set(keys)))}
    labels = np.zeros((len(group_names), len(column_of) + 2), np.int64)
    for name, key in zip(table["recording_id"], keys, strict=True):
        labels[row_of[groups[name]], column_of[key]] = 1
    return labels


def check_no_leakage(folds: Folds) -> None:
    """Raise :class:`AnnotationError` when a group (recording or site) has recordings in two folds."""
    seen: dict[str, tuple[int, str]] = {}
    for name in sorted(folds.fold_of):
        group, fold = folds.group_of[name], folds.fold_of[name]
        first_fold, first_name = seen.setdefault(group, (fold, name))
        if fold != first_fold:
            raise AnnotationError(
                f"leak: group {group} has {first_name} in fold {first_fold} and {name} in fold {fold}; "
                "all recordings of a group must share a fold"
            )


def fold_table(annotations: Annotations, folds: Folds) -> pd.DataFrame:
    """Rows per (species, song type, state) and fold, with their total; one column ``fold_0``, ``fold_1``, ... each."""
    table = annotations.select(folds.fold_of).table
    keys = zip(table["species_id"], table["songtype_id"], table["state"], table["recording_id"], strict=True)
    counts = Counter((int(s), int(song), state, folds.fold_of[name]) for s, song, state, name in keys)
    rows = []
    for species, song, state in sorted({key[:3] for key in counts}):
        per_fold = [counts[species, song, state, fold] for fold in range(folds.num_folds)]
        named = {f"fold_{fold}": count for fold, count in enumerate(per_fold)}
        rows.append({"species_id": species, "songtype_id": song, "state": state, **named, "total": sum(per_fold)})
    return pd.DataFrame(rows)
