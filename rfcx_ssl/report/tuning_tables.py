"""The tables and the picture of a tuning: rows for CSV, text for the terminal, for Markdown and for the page."""

from collections.abc import Iterator
from typing import Literal

import numpy as np

from rfcx_ssl.decoding.settings import PARAMETERS
from rfcx_ssl.pictures.reliability import Panel, reliability_figure
from rfcx_ssl.report.document import Grid, Picture
from rfcx_ssl.report.evaluation_tables import NOTHING, csv_cell
from rfcx_ssl.tuning.calibrate import KINDS
from rfcx_ssl.tuning.choose import Worth
from rfcx_ssl.tuning.reliability import BINS, Reliability, reliability
from rfcx_ssl.tuning.tally import SHAPES
from rfcx_ssl.tuning.tune import SpeciesTuning, Tuned

CHOSEN = ("threshold", *(key for key in PARAMETERS if any(key in shapes for shapes in SHAPES.values())))
TUNE_COLUMNS = (
    "species", "decided_by", "judged_by", "positives", "negatives", "hours", "criterion", "reached",
    "decoder", *CHOSEN,
    *Worth._fields, *(f"cv_{name}" for name in Worth._fields), *(f"default_{name}" for name in Worth._fields),
    "calibration", *(f"log_loss_{kind}" for kind in KINDS), "ece_before", "ece_after",
)  # fmt: skip
WORDS = {
    "threshold": "threshold",
    "median_s": "median s",
    "min_duration_s": "shortest s",
    "step_filter_s": "step filter s",
    "merge_absolute": "merge below",
    "merge_relative": "merge factor",
}
BIN_COLUMNS = ("species", "stage", "from", "to", "cells", "mean_probability", "share_present")


def tune_rows(tuned: Tuned) -> Iterator[list[str]]:
    """Rows of tune.csv: one per species, and one for all together at the end; empty where something cannot be said."""
    for row in (*tuned.species, tuned.everyone):
        before, after = stages(row)
        cells = [
            row.name, "own" if row.own else "shared", tuned.kind, row.positives, row.negatives, row.hours or None,
            str(tuned.options.criterion), row.decided.reached,
            tuned.options.decoder, *(row.choice.get(key) for key in CHOSEN),
            *row.decided.here, *row.decided.crossed, *row.untuned,
            row.calibration.kind, *row.calibration.losses.values(), before.error, after.error,
        ]  # fmt: skip
        yield [csv_cell(cell) for cell in cells]


def species_grid(tuned: Tuned) -> Grid:
    """What was decided for each species, those with the most positives first, and at the end what is shared."""
    hours = tuned.kind == "calls"
    headers = [
        "species",
        "by",
        "present",
        "absent",
        *(WORDS[key] for key in tuned.everyone.choice),
        "default F1",
        "F1",
        "cv F1",
    ]
    headers += [
        "cv precision",
        "cv recall",
        *(["cv false/h"] if hours else []),
        "calibration",
        "log loss",
        "cv log loss",
    ]
    rows = []
    for row in (*sorted(tuned.species, key=lambda row: -row.positives), tuned.everyone):
        crossed, losses, kind = row.decided.crossed, row.calibration.losses, row.calibration.kind
        worth = [row.untuned.f1, row.decided.here.f1, crossed.f1, crossed.precision, crossed.recall]
        worth += [crossed.false_per_hour] if hours else []
        cells = ["own" if row.own else "shared", str(row.positives), str(row.negatives)]
        cells += [f"{value:.3g}" for value in row.choice.values()]
        rows.append([row.name, *cells, *map(_number, worth), kind, _number(losses["none"]), _number(losses[kind])])
    return Grid(headers, rows)


def summary_grid(tuned: Tuned) -> Grid:
    """F1 as the mean over species: of the defaults, and tuned, on the recordings that chose and on others."""
    parts: dict[str, Literal["untuned", "here", "crossed"]] = {
        "defaults": "untuned",
        "tuned, on the recordings that chose": "here",
        "tuned, cross-validated": "crossed",
    }
    rows = [[label, _number(np.nan if (mean := tuned.mean(part)) is None else mean)] for label, part in parts.items()]
    return Grid(["decisions", "F1, mean over species"], rows)


def bin_rows(tuned: Tuned) -> Iterator[list[str]]:
    """Rows of reliability.csv: a row per filled bin."""
    for row in (*tuned.species, tuned.everyone):
        for stage, found in zip(("before", "after"), stages(row), strict=True):
            for place in np.flatnonzero(found.count).tolist():
                ends = (place / BINS, (place + 1) / BINS)
                values = (int(found.count[place]), float(found.confidence[place]), float(found.share[place]))
                yield [row.name, stage, *map(csv_cell, (*ends, *values))]


def reliability_picture(tuned: Tuned) -> Picture:
    """All species together, then those that are calibrated by themselves, those with the most positives first."""
    own = sorted((row for row in tuned.species if row.own), key=lambda row: -row.positives)
    figure = reliability_figure([_panel(row) for row in (tuned.everyone, *own)])
    return Picture(
        "reliability.png", "Share of cells that are present by probability, before and after calibration", figure
    )


def stages(row: SpeciesTuning) -> tuple[Reliability, Reliability]:
    """Before calibration, and after it by maps that were fitted without the cells, where such there are."""
    cells, crossed = row.cells, row.calibration.crossed
    after = crossed if len(crossed) == len(cells.scores) else row.calibration.curve(cells.scores)
    return reliability(cells.scores, cells.present), reliability(after, cells.present)


def _panel(row: SpeciesTuning) -> Panel:
    before, after = stages(row)
    title = f"{row.name[:31]} ({row.positives})\n{row.calibration.kind}, ECE {before.error:.3f} to {after.error:.3f}"
    return Panel(title, before, after)


def _number(value: float) -> str:
    return NOTHING if np.isnan(value) else f"{value:.3f}"
