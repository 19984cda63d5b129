"""Reading one comma-separated label table in RFCX's schema, every rule checked with file and line."""

import csv
import difflib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rfcx_ssl.annotations.layout import BOX_COLUMNS
from rfcx_ssl.annotations.table import STATES, Annotations, RowProblem, fail_on_problems
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import RFCX_NUM_SPECIES, first_songtype

logger = logging.getLogger(__name__)

OPTIONAL_COLUMNS = ("state", "weight")


def read_table(
    path: Path,
    *,
    state: str,
    num_species: int = RFCX_NUM_SPECIES,
    weight: float = 1.0,
    need_songtypes: bool = True,
) -> Annotations:
    """Read a table with the columns :data:`BOX_COLUMNS`, and optionally ``state`` and ``weight`` by row.

    Args:
        path: comma-separated file with a header line.
        state: ``"present"`` or ``"absent"``: what a row says when the table has no ``state`` column.
        num_species: species ids must lie in ``[0, num_species)``.
        weight: weight of a row when the table has no ``weight`` column.
        need_songtypes: whether the column ``songtype_id`` must be there; without it a row means its species' first.

    Raises:
        AnnotationError: naming file and line for a missing column, a value that is not a number, an unknown species,
            ``t_min >= t_max``, ``f_min >= f_max`` or a negative time or frequency.
    """
    rows: list[dict[str, Any]] = []
    problems: list[RowProblem] = []
    required = [name for name in BOX_COLUMNS if need_songtypes or name != "songtype_id"]
    for line, cells in iter_csv(path, required, (*OPTIONAL_COLUMNS, "songtype_id")):
        source = f"{path}:{line}"
        try:
            row = parse_row({"state": state, "weight": str(weight), **cells}, num_species)
        except ValueError as error:
            problems.append(RowProblem(source, str(error)))
        else:
            rows.append({**row, "source": source})
    fail_on_problems(problems)
    return Annotations.from_rows(rows)


def iter_csv(
    path: Path, required: Sequence[str], optional: Sequence[str] | None = (), delimiter: str = ","
) -> Iterator[tuple[int, dict[str, str]]]:
    """Line number and stripped cells of each row; the header must hold every required column.

    ``optional`` names the other columns that are wanted; None wants all there are.

    Raises:
        AnnotationError: for an unreadable or empty file, a missing column, a misspelt optional one, or a ragged row.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.reader(lines, delimiter=delimiter)
            header = [name.strip() for name in next(reader, [])]
            wanted = _check_header(path, header, required, optional)
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if len(cells) != len(header):
                    raise AnnotationError(
                        f"{path}:{reader.line_num}: {len(cells)} cells, the header has {len(header)}"
                    )
                row = dict(zip(header, cells, strict=True))
                yield reader.line_num, {name: row[name].strip() for name in wanted}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"{path}: cannot be read as a table ({error})") from None


def _check_header(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str] | None) -> list[str]:
    missing = [name for name in required if name not in header]
    if missing:
        raise AnnotationError(f"{path}:1: missing column {', '.join(missing)}; the header is {','.join(header)!r}")
    if optional is None:
        return header
    extra = [name for name in header if name not in (*required, *optional)]
    for name in extra:
        if near := difflib.get_close_matches(name.lower(), optional, n=1, cutoff=0.75):
            raise AnnotationError(f"{path}:1: unknown column {name!r}, did you mean {near[0]!r}?")
    if extra:
        logger.info("%s: columns not used: %s", path, ", ".join(extra))
    return [name for name in header if name not in extra]


def parse_row(cells: Mapping[str, str], num_species: int) -> dict[str, Any]:
    """Check one row of text cells; ``ValueError`` names the column, the value and the rule."""
    row: dict[str, Any] = {"recording_id": cells["recording_id"], "state": cells["state"]}
    row["species_id"] = _whole(cells, "species_id")
    row["songtype_id"] = _whole(cells, "songtype_id") if "songtype_id" in cells else first_songtype(row["species_id"])
    for name in ("t_min", "f_min", "t_max", "f_max", "weight"):
        row[name] = _number(cells, name)
    check_box(row, num_species)
    return row


def check_box(row: Mapping[str, Any], num_species: int) -> None:
    """Check the values of one box; ``ValueError`` names the column, the value and the rule."""
    if not row["recording_id"]:
        raise ValueError("recording_id is empty")
    if not 0 <= row["species_id"] < num_species:
        raise ValueError(f"species_id={row['species_id']} is unknown: must be 0 to {num_species - 1}")
    if row["state"] not in STATES:
        raise ValueError(f"state={row['state']!r} must be one of {', '.join(STATES)}")
    if not 0 < row["weight"] <= 1:
        raise ValueError(f"weight={row['weight']:g} must be above 0 and at most 1")
    for low, high in (("t_min", "t_max"), ("f_min", "f_max")):
        if row[low] < 0:
            raise ValueError(f"{low}={row[low]:g} must not be negative")
        if row[low] >= row[high]:
            raise ValueError(f"{low}={row[low]:g} must be below {high}={row[high]:g}")


def _number(cells: Mapping[str, str], name: str) -> float:
    try:
        value = float(cells[name])
    except ValueError:
        raise ValueError(f"{name}={cells[name]!r} is not a number") from None
    if not math.isfinite(value):
        raise ValueError(f"{name}={cells[name]!r} is not a finite number")
    return value


def _whole(cells: Mapping[str, str], name: str) -> int:
    value = _number(cells, name)
    if value != int(value):
        raise ValueError(f"{name}={cells[name]!r} is not a whole number")
    return int(value)
