"""Cross-validation folds and a test part: multi-label stratified, grouped, saved to a file, checked."""

import csv
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import unguard_cell, write_csv
from rfcx_ssl.finite import parse_whole

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["recording_id", "fold", "group"]
MOST_FOLDS = 10_000
TEST = "test"  # what the column fold says of a recording of the test part


@dataclass(frozen=True)
class Folds:
    """Fold of every recording, and the group (recording, site, day ...) that must not be split between folds.

    The test part is in no fold: nothing ever trains on it, and no fold validates on it. ``group_of`` may also know the
    groups of recordings that have no labels, and so no fold.
    """

    fold_of: Mapping[str, int]
    group_of: Mapping[str, str]
    num_folds: int
    test_ids: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        check_no_leakage(self)

    @cached_property
    def recording_ids(self) -> list[str]:
        """All recordings that have a fold, sorted."""
        return sorted(self.fold_of)

    def train_ids(self, fold: int | None) -> list[str]:
        """Recordings outside ``fold`` and outside the test part; for None all but the test part."""
        return [name for name in self.recording_ids if self.fold_of[name] != fold]

    def valid_ids(self, fold: int) -> list[str]:
        """Recordings of ``fold``."""
        if not 0 <= fold < self.num_folds:
            raise AnnotationError(f"fold={fold} does not exist: must be 0 to {self.num_folds - 1}")
        return [name for name in self.recording_ids if self.fold_of[name] == fold]

    def foldless_train_ids(self, recording_ids: Iterable[str], fold: int | None) -> list[str]:
        """Which recordings without a fold training may hear, sorted: none whose group is held out or in the test part."""
        held_out = self.test_ids.union([] if fold is None else self.valid_ids(fold))
        groups = {self.group_of[name] for name in held_out}
        foldless = set(recording_ids).difference(self.fold_of, self.test_ids)
        return sorted(name for name in foldless if self.group_of.get(name) not in groups)

    def select(self, recording_ids: Collection[str]) -> "Folds":
        """The folds of the given recordings alone; no fold is renumbered, and the test part stays what it is."""
        return replace(self, fold_of={name: fold for name, fold in self.fold_of.items() if name in recording_ids})

    def save(self, path: Path) -> None:
        """Write ``recording_id,fold,group`` as CSV, atomically; the fold of the test part is ``test``."""
        path.parent.mkdir(parents=True, exist_ok=True)
        names = sorted([*self.fold_of, *self.test_ids])
        write_csv(path, COLUMNS, ([name, self.fold_of.get(name, TEST), self.group_of[name]] for name in names))

    @classmethod
    def load(cls, path: Path) -> "Folds":
        """Read what :meth:`save` wrote; :class:`AnnotationError` names file and line."""
        fold_of: dict[str, int] = {}
        group_of: dict[str, str] = {}
        try:
            with path.open(encoding="utf-8", newline="") as file:
                reader = csv.DictReader(file)
                if reader.fieldnames != COLUMNS:
                    raise AnnotationError(f"{path}:1: the header must be {','.join(COLUMNS)}")
                for row in reader:
                    name, fold, group = (unguard_cell(row[column] or "") for column in COLUMNS)
                    if not (name and group and (fold.isdecimal() or fold == TEST)):
                        raise AnnotationError(
                            f"{path}:{reader.line_num}: needs a recording, a fold number and a group (fold {TEST}: test part)"
                        )
                    if name in group_of:
                        raise AnnotationError(f"{path}:{reader.line_num}: recording {name} is listed twice")
                    group_of[name] = group
                    if fold != TEST:
                        fold_of[name] = parse_whole("fold", fold)
                        if fold_of[name] >= MOST_FOLDS:
                            raise ValueError(f"fold={fold} must be below {MOST_FOLDS}: folds count from 0")
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise AnnotationError(f"{path}: cannot be read as a fold table ({error})") from None
        except ValueError as error:
            raise AnnotationError(f"{path}:{reader.line_num}: {error}") from None
        if not fold_of:
            raise AnnotationError(f"{path}: lists no recordings" + (" outside the test part" if group_of else ""))
        return cls(fold_of, group_of, max(fold_of.values()) + 1, frozenset(group_of.keys() - fold_of.keys()))


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
    from iterstrat.ml_stratifiers import MultilabelStratifiedKFold  # late: brings scikit-learn and half of SciPy

    names = sorted(set(recording_ids))
    groups, group_names = _groups(names, group_of)
    if num_folds < 2 or len(group_names) < num_folds:
        raise AnnotationError(f"num_folds={num_folds} must be at least 2 and at most the {len(group_names)} groups")
    labels = _group_labels(annotations, names, groups, group_names)
    splitter = MultilabelStratifiedKFold(n_splits=num_folds, shuffle=True, random_state=seed)
    fold_of_group: dict[str, int] = {}
    for fold, (_, held_out) in enumerate(splitter.split(np.zeros(len(group_names)), labels)):
        fold_of_group.update((group_names[i], fold) for i in held_out)
    fold_of = {name: fold_of_group[groups[name]] for name in names}
    return Folds(fold_of, groups, num_folds)


def deal_test(
    annotations: Annotations,
    recording_ids: Sequence[str],
    share: float,
    *,
    seed: int,
    group_of: Mapping[str, str] | None = None,
) -> frozenset[str]:
    """Recordings of a test part of about ``share`` of the groups, dealt as :func:`make_folds` deals folds.

    What only one group holds stays outside a test part of less than half, where it can be learnt. Arguments and errors are those of
    :func:`make_folds`; at least one group is on either side.
    """
    from iterstrat.ml_stratifiers import MultilabelStratifiedShuffleSplit

    names = sorted(set(recording_ids))
    groups, group_names = _groups(names, group_of)
    if len(group_names) < 2:
        raise AnnotationError(f"a test part needs at least 2 groups, there are {len(group_names)}")
    labels = _group_labels(annotations, names, groups, group_names)
    num_test = min(max(round(share * len(group_names)), 1), len(group_names) - 1)
    splitter = MultilabelStratifiedShuffleSplit(n_splits=1, test_size=num_test, random_state=seed)
    ((_, chosen),) = splitter.split(np.zeros(len(group_names)), labels)
    if not 0 < len(chosen) < len(group_names):  # a few groups with nothing in common may all be dealt to one side
        chosen = np.random.default_rng(seed).permutation(len(group_names))[:num_test]
    held_out = {group_names[i] for i in chosen}
    return frozenset(name for name in names if groups[name] in held_out)


def _groups(names: Sequence[str], group_of: Mapping[str, str] | None) -> tuple[dict[str, str], list[str]]:
    """Group of each recording, itself where there are no groups, and the sorted names of the groups."""
    known = {name: name for name in names} if group_of is None else group_of
    missing = [name for name in names if name not in known]
    if missing:
        raise AnnotationError(f"{len(missing)} recordings have no group (first: {missing[0]}); folds need one each")
    groups = {name: known[name] for name in names}
    return groups, sorted(set(groups.values()))


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
    """Raise :class:`AnnotationError` when a group has recordings in two folds, or in a fold and in the test part."""
    seen: dict[str, tuple[int | str, str]] = {}
    for name in sorted([*folds.fold_of, *folds.test_ids]):
        group, fold = folds.group_of[name], TEST if name in folds.test_ids else folds.fold_of[name]
        first_fold, first_name = seen.setdefault(group, (fold, name))
        if fold != first_fold:
            raise AnnotationError(
                f"leak: group {group} has {first_name} in fold {first_fold} and {name} in fold {fold}; "
                "all recordings of a group must share a fold"
            )


def fold_table(annotations: Annotations, folds: Folds) -> "pd.DataFrame":
    """Rows per (species, song type, state) and fold, with their total: columns ``fold_0`` ..., ``test`` if there is one."""
    import pandas as pd

    part_of: dict[str, int | str] = {**folds.fold_of, **dict.fromkeys(folds.test_ids, TEST)}
    parts: dict[int | str, str] = {fold: f"fold_{fold}" for fold in range(folds.num_folds)}
    if folds.test_ids:
        parts[TEST] = TEST
    table = annotations.select(part_of).table
    keys = zip(table["species_id"], table["songtype_id"], table["state"], table["recording_id"], strict=True)
    counts = Counter((int(s), int(song), state, part_of[name]) for s, song, state, name in keys)
    rows = []
    for species, song, state in sorted({key[:3] for key in counts}):
        named = {column: counts[species, song, state, part] for part, column in parts.items()}
        total = sum(named.values())
        rows.append({"species_id": species, "songtype_id": song, "state": state, **named, "total": total})
    return pd.DataFrame(rows)
