"""``species.csv``: a project's table of species, and the one of the Rainforest Connection competition."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv, write_csv
from rfcx_ssl.finite import parse_number, parse_whole
from rfcx_ssl.species.table import Call, SpeciesTable

REQUIRED = ("name",)
OPTIONAL = ("code", "scientific_name", "songtype", "f_min_hz", "f_max_hz", "prevalence")


@cache
def rfcx_species() -> SpeciesTable:
    """The 24 species of the competition, two of them with two song types (package data ``rfcx.csv``).

    Bands, song types and codes are those of its label tables; prevalences are the publicly probed ones (occurrences per
    1,000 test recordings). Names are the 11th place's guess, not official.
    """
    return read_species(Path(__file__).with_name("rfcx.csv"))


def read_species(path: Path) -> SpeciesTable:
    """Read a table with the column ``name`` and any of :data:`OPTIONAL`: a row per species, or per song type of it.

    Raises:
        AnnotationError: naming file and line of a value that breaks a rule, or the file for a rule between rows.
    """
    calls: list[Call] = []
    ids: dict[str, int] = {}
    for line, cells in iter_csv(path, REQUIRED, OPTIONAL):
        try:
            calls.append(_call(cells, ids.setdefault(cells["name"], len(ids))))
        except ValueError as error:
            raise AnnotationError(f"{path}:{line}: {error}") from None
    if not calls:
        raise AnnotationError(f"{path}: lists no species")
    try:
        return SpeciesTable(tuple(sorted(calls, key=lambda call: call.species_id)))
    except ValueError as error:
        raise AnnotationError(f"{path}: {error}") from None


def write_species(table: SpeciesTable, path: Path) -> None:
    """Write what :func:`read_species` reads, atomically; what is not known stays empty."""
    names = ("name", "code", "scientific_name", "songtype_id", "f_min_hz", "f_max_hz", "prevalence")
    write_csv(path, [*REQUIRED, *OPTIONAL], ([_cell(getattr(call, name)) for name in names] for call in table.calls))


def _call(cells: Mapping[str, str], species_id: int) -> Call:
    if not cells["name"]:
        raise ValueError("name is empty")
    song = parse_whole("songtype", cells.get("songtype") or "1")
    if song < 0:
        raise ValueError(f"songtype={song} must not be negative")
    numbers = {key: _number(cells, key) for key in ("f_min_hz", "f_max_hz", "prevalence")}
    code, scientific = cells.get("code") or None, cells.get("scientific_name") or None
    return Call(species_id, song, cells["name"], code, scientific, **numbers)


def _number(cells: Mapping[str, str], key: str) -> float | None:
    text = cells.get(key, "")
    return parse_number(key, text) if text else None


def _cell(value: Any) -> str:  # noqa: ANN401 - any cell
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
