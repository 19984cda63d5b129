"""Parts of what is judged, for tables of their own: sites, hours of the day, bands of loudness."""

import csv
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number, parse_whole
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray

SNR_EDGES_DB = (0.0, 5.0, 10.0, 15.0)
ALL = "all"


class Group(NamedTuple):
    """Some cells of R recordings and S species, under a name such as ``site`` and ``north``."""

    kind: str
    name: str
    cells: BoolArray  # (R, S)

    @property
    def rows(self) -> BoolArray:
        """(R,) the recordings with any cell in it."""
        return np.asarray(self.cells.any(axis=1))

    @property
    def whole(self) -> bool:
        """Whether it has all species of its recordings, so that boxes and events of these can be judged in it."""
        return bool((self.cells.any(axis=1) == self.cells.all(axis=1)).all())


def groups_of(reference: Reference, snr_db: FloatArray | None) -> list[Group]:
    """Everything, then sites, hours and bands, as far as they are known; a kind with one group only is left out."""
    shape = reference.truth.shape
    found = [Group(ALL, "", np.ones(shape, np.bool_))]
    for kind, values in (("site", reference.sites), ("hour", [_clock(hour) for hour in reference.hours])):
        names = sorted({value for value in values if value is not None})
        rows = {name: np.array([value == name for value in values], np.bool_) for name in names}
        parts = [Group(kind, name, np.broadcast_to(rows[name][:, None], shape)) for name in names]
        found += parts if len(parts) > 1 else []
    if snr_db is not None:
        found += _bands(reference, snr_db)
    return found


def read_snr_db(table: Path, recording_ids: Sequence[str], num_species: int) -> FloatArray | None:
    """Signal-to-noise ratio (R, S) of the loudest call of each species in each recording, NaN where none is known.

    From the column ``snr_db`` of ``truth.csv``; None where there is no such table or column.

    Raises:
        AnnotationError: a cell is no number, with file and line.
    """
    if not table.is_file() or "snr_db" not in _header(table):
        return None
    row_of = {name: row for row, name in enumerate(recording_ids)}
    found = np.full((len(recording_ids), num_species), np.nan)
    for line, cells in iter_csv(table, ("recording_id", "species_id", "snr_db"), None):
        row = row_of.get(cells["recording_id"])
        if row is None or not cells["snr_db"]:
            continue
        try:
            species, value = parse_whole("species_id", cells["species_id"]), parse_number("snr_db", cells["snr_db"])
        except ValueError as error:
            raise AnnotationError(f"{table}:{line}: {error}") from None
        if not 0 <= species < num_species:
            raise AnnotationError(f"{table}:{line}: species_id={species} must be 0 to {num_species - 1}")
        found[row, species] = np.fmax(found[row, species], value)
    return found


def _bands(reference: Reference, snr_db: FloatArray) -> Iterator[Group]:
    """Present species by the loudness of their loudest call, each band against everything that is absent."""
    edges = (-np.inf, *SNR_EDGES_DB, np.inf)
    absent = reference.known & ~reference.truth
    for low, high in pairwise(edges):
        inside = reference.truth & (snr_db >= low) & (snr_db < high)
        if inside.any():
            name = f"below {high:g}" if low == -np.inf else f"{low:g} to {high:g}" if high < np.inf else f"{low:g} up"
            yield Group("snr_db", name, inside | absent)


def _clock(hour: int | None) -> str | None:
    return None if hour is None else f"{hour:02d}"


def _header(table: Path) -> list[str]:
    with table.open(encoding="utf-8-sig", newline="") as lines:
        return next(csv.reader(lines), [])
