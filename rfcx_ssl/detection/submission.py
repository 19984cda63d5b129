"""Kaggle's table: which recordings and species a submission has, by ``sample_submission.csv``, and how it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations.layout import SUBMISSION_TABLE
from rfcx_ssl.data.recordings import audio_by_id
from rfcx_ssl.errors import AnnotationError, ConfigError, did_you_mean, some_of
from rfcx_ssl.files import iter_csv, write_csv
from rfcx_ssl.species.table import SpeciesTable

ID = "recording_id"
AUDIO_FOLDERS = ("test", ".")  # below the root: RFCX's, then wherever else there is audio
SHOWN = 3


@dataclass(frozen=True)
class Sample:
    """What ``sample_submission.csv`` asks for."""

    path: Path
    header: tuple[str, ...]
    ids: tuple[str, ...]  # (R,) recordings, each once

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of species (S,)."""
        return tuple(name for name in self.header if name != ID)

    def species_of(self, species: SpeciesTable, model: str) -> NDArray[np.intp]:
        """The species of a model that each column means (S,).

        A column is a species' code, name or scientific name, whatever its case. Where no species of the model has a
        code, ``s7`` is the one with id 7, as in RFCX's tables.

        Raises:
            ConfigError: a column means no species of the model or the same as another, or a species has no column.
        """
        found: dict[int, str] = {}
        for column in self.columns:
            known = _species_of(column, species)
            if known is None:
                hint = did_you_mean(column, (*species.codes, *species.names))
                raise ConfigError(
                    f"{self.path}: column {column!r} is none of the {len(species)} species of model {model}{hint}"
                )
            if known in found:
                raise ConfigError(
                    f"{self.path}: columns {found[known]!r} and {column!r} are both {species.names[known]}"
                )
            found[known] = column
        if alone := [name for place, name in enumerate(species.names) if place not in found]:
            raise ConfigError(f"{self.path}: has no column for {some_of(alone, SHOWN)} of model {model}")
        return np.array(list(found), np.intp)

    def write(self, out: Path, scores: NDArray[np.floating]) -> None:
        """Write a submission of ``scores`` (R, S), finite and in [0, 1]; it appears whole or not at all."""
        if scores.shape != (len(self.ids), len(self.columns)) or not ((scores >= 0) & (scores <= 1)).all():
            raise ValueError(f"scores must be ({len(self.ids)}, {len(self.columns)}) numbers in [0, 1]")
        write_csv(out, self.header, (self._row(*row) for row in zip(self.ids, scores.tolist(), strict=True)))

    def _row(self, recording: str, scores: Sequence[float]) -> list[Any]:
        texts = iter([f"{score:.8g}" for score in scores])
        return [recording if name == ID else next(texts) for name in self.header]


def read_sample(root: Path) -> Sample:
    """Read ``sample_submission.csv`` of a data set; what its cells say of species is nobody's concern.

    Raises:
        AnnotationError: there is none, it has no rows or no species, or it names a recording twice.
    """
    path = root / SUBMISSION_TABLE
    lines: dict[str, int] = {}
    header: tuple[str, ...] = ()
    for line, cells in iter_csv(path, (ID,), None):
        header = tuple(cells)
        name = cells[ID]
        if not name or name in lines:
            also = f" is listed in line {lines[name]}, too" if name else " is empty"
            raise AnnotationError(f"{path}:{line}: {ID}={name!r}{also}")
        lines[name] = line
    if len(header) < 2:
        raise AnnotationError(f"{path}: needs rows, and columns of species beside {ID}")
    return Sample(path, header, tuple(lines))


def audio_of(sample: Sample, root: Path) -> Mapping[str, Path]:
    """The audio file of each recording of the sample that has one, in the sample's order."""
    found = audio_by_id(root, AUDIO_FOLDERS)
    return {name: found[name] for name in sample.ids if name in found}


def _species_of(column: str, species: SpeciesTable) -> int | None:
    known = species.id_of(column)
    if known is not None or any(call.code for call in species.calls):
        return known
    number = column.removeprefix("s")
    is_id = number != column and number.isdecimal() and number == str(int(number))
    return int(number) if is_id and int(number) < len(species) else None
