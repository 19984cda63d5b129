"""The comparison as rows: for the terminal, for comparison.csv, for the page."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console
from rich.table import Table

from rfcx_ssl.data import Truth
from rfcx_ssl.evaluation.judge import Floors, Scored
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.files import atomic_path
from rfcx_ssl.metrics import Interval
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.metrics.events import EventMetrics
from rfcx_ssl.progress import say
from rfcx_ssl.report.gates import Gate

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
    segment_f1_best: float | None = None
    event_f1_best: float | None = None
    psds: float | None = None
    labels: int | None = None
    parameters: int | None = None
    train_s: float | None = None
    times_real_time: float | None = None


@dataclass(frozen=True)
class SpeciesRow:
    """What one system (or floor) reaches on one species; None where the test recordings do not hold it."""

    system: str
    species_id: int
    species: str
    recordings: int
    calls: int
    lwlrap: float | None
    lwlrap_prior: float | None
    average_precision: float | None
    segment_f1_best: float | None
    event_f1_best: float | None
    psds: float | None


def floor_rows(floors: Floors, always: EventMetrics | None) -> list[Row]:
    """The two floors; the prior has no raw score, for it is nothing but the prior.

    ``always`` are the event metrics of hearing every species all the time: what its F1 is worth.
    """
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
            segment_f1_best=always.segment_f1_best.macro if always else None,
            event_f1_best=always.event_f1_best.macro if always else None,
            psds=always.psds.macro if always else None,
        ),
    ]


def system_row(name: str, raw: Scored, scaled: Scored | None, events: EventMetrics | None, heard: Heard) -> Row:
    """The row of a trained model; ``events`` are its frame scores judged as events, where that could be done."""
    return Row(
        name,
        raw.ranking.overall,
        scaled.ranking.overall if scaled else None,
        scaled.interval.low if scaled else None,
        scaled.interval.high if scaled else None,
        raw.precision.macro,
        scaled.precision.macro if scaled else None,
        segment_f1_best=events.segment_f1_best.macro if events else None,
        event_f1_best=events.event_f1_best.macro if events else None,
        psds=events.psds.macro if events else None,
        labels=heard.facts.labels,
        parameters=heard.parameters,
        train_s=heard.facts.train_s,
        times_real_time=heard.times_real_time,
    )


HEADERS = (
    "system",
    "LWLRAP raw",
    "+ prior",
    "95 % interval",
    "mAP",
    "seg. F1",
    "PSDS",
    "labels",
    "weights",
    "trained",
    "speed",
)


#: Columns that models can be ranked by. None of them alone says which model is best.
SCORES = {
    "LWLRAP raw": "lwlrap",
    "+ prior": "lwlrap_prior",
    "mAP": "map_macro",
    "seg. F1": "segment_f1_best",
    "PSDS": "psds",
}


def leaders(rows: Sequence[Row]) -> dict[str, Row]:
    """The model with the highest value of each column of ``SCORES`` (the first of equals); floors do not compete."""
    found = {}
    for header, field in SCORES.items():
        models = [row for row in rows if row.parameters is not None and _is_number(getattr(row, field))]
        if models:
            found[header] = max(models, key=lambda row: float(getattr(row, field)))
    return found


def leaders_text(rows: Sequence[Row]) -> str:
    """Who leads in each column, by how much, and what is reached without listening."""
    parts = []
    for header, best in leaders(rows).items():
        field = SCORES[header]
        blind = [getattr(row, field) for row in rows if row.parameters is None and _is_number(getattr(row, field))]
        floor = f" (floor {max(blind):.3f})" if blind else ""
        parts.append(f"{header} {best.system} {getattr(best, field):.3f}{floor}")
    return "; ".join(parts)


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
        _format(row.segment_f1_best, "{:.3f}"),
        _format(row.psds, "{:.3f}"),
        _format(row.labels, "{}"),
        _format(None if row.parameters is None else row.parameters / 1e6, "{:.2f}M"),
        _format(row.train_s, "{:.0f} s"),
        _format(row.times_real_time, "{:.0f}x"),
    )
    return [cell if cell is not None else "–" for cell in cells]  # noqa: RUF001 - an en dash is meant


def print_comparison(title: str, rows: Sequence[Row], gates: Sequence[Gate], console: Console) -> None:
    """Print the table, who leads in what, and the gates."""
    table = Table(title=title, caption="speed: seconds of audio per second of computing")
    for place, header in enumerate(HEADERS):
        table.add_column(header, justify="left" if place == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*shown_cells(row))
    console.print(table)
    say(console, f"highest: {leaders_text(rows)}")
    for gate in gates:
        say(console, f"gate {'holds' if gate.holds else 'FAILS'}: {gate_text(gate)}", "green" if gate.holds else "red")


def gate_text(gate: Gate) -> str:
    """The gate in one sentence, measured margin and requirement."""
    beside = "" if gate.precision is None else f"; mAP {_interval(gate.precision)}"
    return f"{gate.name}: {gate.score} {_interval(gate.margin)}, required {gate.required:+.2f}{beside}"


def _interval(margin: Interval) -> str:
    return f"{margin.value:+.3f} (95 % interval {margin.low:+.3f} to {margin.high:+.3f})"


def gate_facts(gate: Gate) -> dict[str, object]:
    """The gate for gates.json."""
    facts = {"gate": gate.name, "holds": gate.holds, "score": gate.score, "required": gate.required}
    beside = None if gate.precision is None else gate.precision._asdict()
    return {**facts, **gate.margin._asdict(), "map_macro": beside}


def write_rows(rows: Sequence[Row] | Sequence[SpeciesRow], path: Path) -> None:
    """One line per row, a header from its fields; empty where something does not apply."""
    names = list(rows[0].__dataclass_fields__)
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(names)
        writer.writerows([_csv_cell(getattr(row, name)) for name in names] for row in rows)


def species_rows(
    truth: Truth, name: str, raw: Scored | None, scaled: Scored | None, events: EventMetrics | None
) -> list[SpeciesRow]:
    """One row per species of a system, or of the prior floor (without ``raw``)."""
    calls = Counter(call.species_id for own in truth.calls for call in own)
    count = truth.truth.sum(axis=0)
    columns: list[FloatArray | None] = [None if one is None else one.ranking.per_class for one in (raw, scaled)]
    columns += [None if raw is None else raw.precision.per_class]
    judged = None if events is None else (events.segment_f1_best, events.event_f1_best, events.psds)
    columns += [None, None, None] if judged is None else [metric.per_class for metric in judged]
    rows = []
    for species, label in enumerate(truth.space.species_names):
        values = [
            None if column is None or np.isnan(column[species]) else float(column[species]) for column in columns
        ]
        rows.append(SpeciesRow(name, species, label, int(count[species]), calls[species], *values))
    return rows


def _csv_cell(value: Cell) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _is_number(value: float | None) -> bool:
    return value is not None and not np.isnan(value)


def _format(value: float | None, pattern: str) -> str | None:
    return None if value is None else pattern.format(value)
