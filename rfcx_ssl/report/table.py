"""The comparison as rows: for the terminal, for comparison.csv, for the page."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from rfcx_ssl.audio import atomic_path
from rfcx_ssl.report.scoring import Floors, Gate, Scored

Cell: TypeAlias = str | float | None


@dataclass(frozen=True)
class Row:
    """One system or floor. None is "does not apply". LWLRAP and mAP in [0, 1]."""

    system: str
    lwlrap: float | None
    lwlrap_prior: float | None
    lwlrap_prior_low: float | None
    lwlrap_prior_high: float | None
    map_macro: float | None
    map_macro_prior: float | None
    parameters: int | None = None
    train_s: float | None = None
    times_real_time: float | None = None


def floor_rows(floors: Floors) -> list[Row]:
    """The two floors; the prior has no raw score, for it is nothing but the prior."""
    prior = floors.prior
    return [
        Row("random ranking (floor)", floors.random.overall, None, None, None, floors.random_map, None),
        Row(
            "class prior (floor)",
            None,
            prior.ranking.overall,
            prior.interval.low,
            prior.interval.high,
            None,
            floors.random_map,  # one score for all recordings leaves their order to chance
        ),
    ]


def system_row(  # the columns of the table
    name: str,
    raw: Scored,
    scaled: Scored,
    *,
    parameters: int,
    train_s: float | None,
    times_real_time: float,
) -> Row:
    """The row of a trained model."""
    return Row(
        name,
        raw.ranking.overall,
        scaled.ranking.overall,
        scaled.interval.low,
        scaled.interval.high,
        raw.precision.macro,
        scaled.precision.macro,
        parameters,
        train_s,
        times_real_time,
    )


HEADERS = (
    "system",
    "LWLRAP raw",
    "LWLRAP + prior",
    "95 % interval",
    "mAP",
    "weights",
    "trained",
    "speed",
)


def shown_cells(row: Row) -> list[str]:
    """The row as text under ``HEADERS``; a dash where something does not apply."""
    interval = None
    if row.lwlrap_prior_low is not None and row.lwlrap_prior_high is not None:
        interval = f"{row.lwlrap_prior_low:.3f}..{row.lwlrap_prior_high:.3f}"
    best_map = row.map_macro if row.map_macro is not None else row.map_macro_prior
    cells = (
        row.system,
        _format(row.lwlrap, "{:.3f}"),
        _format(row.lwlrap_prior, "{:.3f}"),
        interval,
        _format(best_map, "{:.3f}"),
        _format(None if row.parameters is None else row.parameters / 1e6, "{:.2f}M"),
        _format(row.train_s, "{:.0f} s"),
        _format(row.times_real_time, "{:.0f}x"),
    )
    return [cell if cell is not None else "–" for cell in cells]  # noqa: RUF001 - an en dash is meant


def print_comparison(rows: Sequence[Row], gates: Sequence[Gate], console: Console) -> None:
    """Print the table and the gates."""
    table = Table(
        title="Synthetic test recordings, complete truth", caption="speed: seconds of audio per second of computing"
    )
    for place, header in enumerate(HEADERS):
        table.add_column(header, justify="left" if place == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*shown_cells(row))
    console.print(table)
    for gate in gates:
        verdict = "[green]holds[/]" if gate.holds else "[red]FAILS[/]"
        console.print(f"gate {verdict}: {gate_text(gate)}", highlight=False, soft_wrap=True)


def gate_text(gate: Gate) -> str:
    """The gate in one sentence, measured margin and requirement."""
    margin = gate.margin
    return (
        f"{gate.name}: {margin.value:+.3f} LWLRAP (95 % interval {margin.low:+.3f} to {margin.high:+.3f}), "
        f"required {gate.required:+.2f}"
    )


def write_rows(rows: Sequence[Row], path: Path) -> None:
    """comparison.csv: one line per system; empty where something does not apply."""
    names = list(Row.__dataclass_fields__)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(names)
        writer.writerows([_csv_cell(getattr(row, name)) for name in names] for row in rows)


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _format(value: float | None, pattern: str) -> str | None:
    return None if value is None else pattern.format(value)
