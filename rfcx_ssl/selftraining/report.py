"""The report of pseudo-labels: report.csv, report.md, pseudo_label.json and the table on the terminal."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from rfcx_ssl.errors import some_of
from rfcx_ssl.files import guard_cell, write_csv, write_text
from rfcx_ssl.progress import say
from rfcx_ssl.selftraining.account import Account, SpeciesAccount

MOST_NAMED = 30  # species in a warning
#: Heading of each column, and how its number is shown.
COLUMNS = {
    "species": "",
    "recordings": "d",
    "hours": ".3f",
    "expected_hours": ".3f",
    "positive_share": ".1%",
    "present_boxes": "d",
    "absent_boxes": "d",
    "chance": ".3f",
    "average_precision": ".3f",
}


def write_report(
    out: Path, account: Account, species: Sequence[SpeciesAccount], record: Mapping[str, Any], console: Console
) -> None:
    """Write the three files and print the table, and what was named."""
    rows = ([guard_cell(cell) if isinstance(cell, str) else _number(cell) for cell in row] for row in species)
    write_csv(out / "report.csv", SpeciesAccount._fields, rows)
    write_text(out / "pseudo_label.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    summary = (
        f"{account.recordings} recordings, {account.hours:.2f} hours, labelled by {len(record['teachers'])} models"
    )
    if record["prevalence"]:
        summary += f", scaled to prevalence={record['prevalence']}"
    warnings = _warnings(species)
    write_text(out / "report.md", _markdown(summary, species, warnings))
    table = Table("species", *(name.replace("_", " ") for name in list(COLUMNS)[1:]))
    for row in species:
        table.add_row(*_shown(row))
    console.print(table)
    for line in (*(f"warning: {warning}" for warning in warnings), f"{summary}: {out / 'labels'}"):
        say(console, line)


def _warnings(species: Sequence[SpeciesAccount]) -> list[str]:
    """What is wrong, with the species of which it is."""
    names: dict[str, list[str]] = {}
    for row in species:
        if row.warning:
            names.setdefault(row.warning, []).append(row.species)
    return [f"{some_of(of, MOST_NAMED)}: {warning}" for warning, of in names.items()]


def _markdown(summary: str, species: Sequence[SpeciesAccount], warnings: Sequence[str]) -> str:
    lines = ["# Pseudo-labels", "", f"{summary}.", ""]
    lines += [f"- warning: {warning}" for warning in warnings] + ([""] if warnings else [])
    lines += [f"| {' | '.join(name.replace('_', ' ') for name in COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _shown(row))} |" for row in species]
    return "\n".join(lines) + "\n"


def _shown(row: SpeciesAccount) -> list[str]:
    """Cells for people; empty where nothing can be said."""
    cells = [getattr(row, name) for name in COLUMNS]
    shown = zip(cells, COLUMNS.values(), strict=True)
    return ["" if isinstance(cell, float) and math.isnan(cell) else format(cell, how) for cell, how in shown]


def _number(cell: float) -> float | None:
    return None if math.isnan(cell) else cell
