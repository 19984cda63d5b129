"""Reading one comma-separated label table in RFCX's schema, every rule checked with file and line."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rfcx_ssl.annotations.layout import BOX_COLUMNS, TRUTH_COLUMNS
from rfcx_ssl.annotations.table import STATES, Annotations, RowProblem, fail_on_problems
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number, parse_whole
from rfcx_ssl.species.table import SpeciesTable

logger = logging.getLogger(__name__)

OPTIONAL_COLUMNS = ("state", "weight", "weak")
YES, NO = ("yes", "true", "1", "x"), ("no", "false", "0", "")


def read_table(
    path: Path,
    *,
    state: str,
    species: SpeciesTable,
    weight: float = 1.0,
    need_songtypes: bool = True,
) -> Annotations:
    """Read a table with the columns :data:`BOX_COLUMNS`, and optionally ``state``, ``weight`` and ``weak`` by row.

    Args:
        path: comma-separated file with a header line.
        state: ``"present"`` or ``"absent"``: what a row says when the table has no ``state`` column.
        species: the project's species; ids are positions in its table.
        weight: weight of a row when the table has no ``weight`` column.
        need_songtypes: whether the column ``songtype_id`` must be there; without it a row means its species' first.

    Raises:
        AnnotationError: naming file and line for a missing column, a value that is not a number, an unknown species,
            ``t_min >= t_max``, ``f_min >= f_max`` or a negative time or frequency.
    """
    rows: list[dict[str, Any]] = []
    problems: list[RowProblem] = []
    required = [name for name in BOX_COLUMNS if need_songtypes or name != "songtype_id"]
    for line, cells in iter_csv(path, required, (*OPTIONAL_COLUMNS, "songtype_id"), others=TRUTH_COLUMNS):
        source = f"{path}:{line}"
        try:
            row = parse_row({"state": state, "weight": str(weight), **cells}, species)
        except ValueError as error:
            problems.append(RowProblem(source, str(error)))
        else:
            rows.append({**row, "source": source})
    fail_on_problems(problems)
    return Annotations.from_rows(rows)


def parse_row(cells: Mapping[str, str], species: SpeciesTable) -> dict[str, Any]:
    """Check one row of text cells; ``ValueError`` names the column, the value and the rule."""
    row: dict[str, Any] = {"recording_id": cells["recording_id"], "state": cells["state"]}
    row["species_id"] = parse_whole("species_id", cells["species_id"])
    row["songtype_id"] = (
        parse_whole("songtype_id", cells["songtype_id"])
        if "songtype_id" in cells
        else species.first_songtype(row["species_id"])
    )
    for name in ("t_min", "f_min", "t_max", "f_max", "weight"):
        row[name] = parse_number(name, cells[name])
    row["weak"] = is_yes("weak", cells.get("weak", ""))
    check_box(row, species)
    return row


def check_box(row: Mapping[str, Any], species: SpeciesTable) -> None:
    """Check the values of one box; ``ValueError`` names the column, the value and the rule."""
    if not row["recording_id"]:
        raise ValueError("recording_id is empty")
    if not 0 <= row["species_id"] < len(species):
        raise ValueError(f"species_id={row['species_id']} is unknown: must be 0 to {len(species) - 1}")
    if row["state"] not in STATES:
        raise ValueError(f"state={row['state']!r} must be one of {', '.join(STATES)}")
    if not 0 < row["weight"] <= 1:
        raise ValueError(f"weight={row['weight']:g} must be above 0 and at most 1")
    for low, high in (("t_min", "t_max"), ("f_min", "f_max")):
        if row[low] < 0:
            raise ValueError(f"{low}={row[low]:g} must not be negative")
        if row[low] >= row[high]:
            raise ValueError(f"{low}={row[low]:g} must be below {high}={row[high]:g}")


def is_yes(name: str, cell: str) -> bool:
    """What a cell says that is yes or no (empty); ``ValueError`` for anything else."""
    word = cell.strip().lower()
    if word not in (*YES, *NO):
        raise ValueError(f"{name}={cell!r} must be yes or no")
    return word in YES
