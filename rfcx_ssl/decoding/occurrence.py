"""Where and when species occur: a table that makes them more or less likely by site, month and hour, or impossible.

A CSV with a row per statement::

    species,site,month,hour,odds
    Coqui,,,18-5,4
    Coqui,ridge,,,0.2
    Wren,,11-2,,0

``species`` is a name, code or scientific name. ``site``, ``month`` (1 to 12) and ``hour`` (0 to 23, of the recorder's clock) are all
optional; an empty cell means any, ``18-5`` a range that may pass the turn of the day or year. Then exactly one of ``occurs`` (0:
never; 1: nothing is changed), ``odds`` (what the odds are multiplied by) and ``prevalence`` (there and then).

Of the rows that hold for a species, one counts: a row that names the site goes before one that does not, then one that names the
month, then the hour. A row does not hold where the recording's site or time is not known, and :attr:`Occurrence.unknown` says so.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from itertools import product
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import AnnotationError, did_you_mean
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number
from rfcx_ssl.metrics.prior import prior_shift
from rfcx_ssl.species.table import SpeciesTable, name_key

FloatArray: TypeAlias = NDArray[np.float64]
Key: TypeAlias = tuple[str | None, int | None, int | None]  # site, month, hour; None: any

PLACES = ("site", "month", "hour")  # in the order of their rank
STATEMENTS = ("occurs", "odds", "prevalence")
RANGES = {"month": (1, 12), "hour": (0, 23)}


class Occurrence(NamedTuple):
    """What the table says of one recording."""

    shift: FloatArray  # (S,) added to the log odds; -inf where a species does not occur
    unknown: tuple[str, ...]  # of PLACES: what rows ask for and the recording does not say


@dataclass(frozen=True, eq=False)
class OccurrenceTable:
    """Build with :func:`read_occurrence`."""

    num_species: int
    rows: dict[Key, dict[int, float]]  # shift by species
    asked: frozenset[str]  # the PLACES that some row names

    def weights(self, site: str | None, recorded_at: date | None) -> Occurrence:
        """The shift for a recording; a plain date (not a datetime) says nothing of the hour."""
        month = None if recorded_at is None else recorded_at.month
        hour = recorded_at.hour if isinstance(recorded_at, datetime) else None
        here = (None if not site else name_key(site), month, hour)
        shift = np.zeros(self.num_species)
        for named in product((False, True), repeat=len(PLACES)):  # the last ones go before the first
            if all(value is not None for value, is_named in zip(here, named, strict=True) if is_named):
                site_key, month_key, hour_key = (
                    value if is_named else None for value, is_named in zip(here, named, strict=True)
                )
                own = self.rows.get((site_key, month_key, hour_key), {})  # type: ignore[arg-type] # one type each
                shift[list(own)] = list(own.values())
        missing = (place for place, value in zip(PLACES, here, strict=True) if value is None and place in self.asked)
        return Occurrence(shift, tuple(missing))


def read_occurrence(path: Path, species: SpeciesTable, prevalence: FloatArray | None = None) -> OccurrenceTable:
    """Read a table.

    Args:
        path: the CSV.
        species: of the model.
        prevalence: (S,) what the scores hold so far, which a column ``prevalence`` is held against: the one that they are scaled
            to, else the training's; NaN where it is not known.

    Raises:
        AnnotationError: naming the file, its line and the cell that breaks a rule.
    """
    rows: dict[Key, dict[int, float]] = {}
    lines: dict[tuple[Key, int], int] = {}
    asked: set[str] = set()
    for line, cells in iter_csv(path, ("species",), (*PLACES, *STATEMENTS)):
        species_id = _species(path, line, cells["species"], species)
        shift = _shift(path, line, cells, species, species_id, prevalence)
        asked |= {place for place in PLACES if cells.get(place)}
        for key in _keys(path, line, cells):
            earlier = lines.setdefault((key, species_id), line)
            if earlier != line:
                raise AnnotationError(
                    f"{path}:{line}: line {earlier} already speaks of {species.names[species_id]} there and then"
                )
            rows.setdefault(key, {})[species_id] = shift
    return OccurrenceTable(len(species), rows, frozenset(asked))


def _species(path: Path, line: int, name: str, species: SpeciesTable) -> int:
    found = species.id_of(name)
    if found is None:
        hint = did_you_mean(name, (*species.names, *species.codes))
        raise AnnotationError(f"{path}:{line}: species={name!r} is not among the {len(species)} species{hint}")
    return found


def _shift(
    path: Path,
    line: int,
    cells: dict[str, str],
    species: SpeciesTable,
    species_id: int,
    prevalence: FloatArray | None,
) -> float:
    """What the one statement of a row adds to the log odds."""
    said = [column for column in STATEMENTS if cells.get(column)]
    if len(said) != 1:
        raise AnnotationError(f"{path}:{line}: needs one of {', '.join(STATEMENTS)}, has {', '.join(said) or 'none'}")
    column, text = said[0], cells[said[0]]
    try:
        value = parse_number(column, text)
    except ValueError as error:
        raise AnnotationError(f"{path}:{line}: {error}") from None
    if column == "occurs":
        if value not in (0, 1):
            raise AnnotationError(f"{path}:{line}: occurs={text} must be 0 or 1")
        return 0.0 if value else -np.inf
    if column == "odds":
        if value < 0:
            raise AnnotationError(f"{path}:{line}: odds={text} must be 0 or more")
        return float(np.log(value)) if value else -np.inf
    if not 0 <= value <= 1:
        raise AnnotationError(f"{path}:{line}: prevalence={text} must be in [0, 1]")
    base = np.nan if prevalence is None else prevalence[species_id]
    if not 0 < base < 1:
        raise AnnotationError(
            f"{path}:{line}: prevalence={text} of {species.names[species_id]} cannot be used: its prevalence elsewhere is "
            "not known (give odds, or scale to a known prevalence)"
        )
    return float(prior_shift(value, base))


def _keys(path: Path, line: int, cells: dict[str, str]) -> list[Key]:
    """Where and when a row holds."""
    site = name_key(cells["site"]) if cells.get("site") else None
    months, hours = (_values(path, line, column, cells.get(column, "")) for column in ("month", "hour"))
    return [(site, month, hour) for month in months for hour in hours]


def _values(path: Path, line: int, column: str, text: str) -> list[int] | list[None]:
    """The whole numbers of a cell: any, one, or a range that may pass the turn."""
    if not text:
        return [None]
    low, high = RANGES[column]
    match = re.fullmatch(r"(\d{1,2})(?:\s*-\s*(\d{1,2}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (-1, -1)
    if not (low <= first <= high and low <= last <= high):
        raise AnnotationError(
            f"{path}:{line}: {column}={text!r} must be from {low} to {high}, or a range such as {high}-{low + 1}"
        )
    count = (last - first) % (high - low + 1) + 1
    return [low + (first - low + k) % (high - low + 1) for k in range(count)]
