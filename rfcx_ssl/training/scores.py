"""Metrics of a model on what is known, beside what is reached without listening: of whole recordings, and of boxes.

Metrics of recordings are named plainly, those of boxes start with ``box_``; floors end in ``_floor``. NaN means that
nothing could be judged, never that nothing was found.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.metrics import (
    columns_with_both,
    partial_auc,
    partial_lwlrap,
    partial_precision,
    prior_floor,
    random_average_precision,
    random_floor,
    rows_with_both,
)

FloatArray = NDArray[np.float32]
Metric = Callable[..., float]  # of truth, scores and known, all (rows, S)

RECORDING_METRICS: Mapping[str, Metric] = {
    "lwlrap": lambda truth, scores, known: partial_lwlrap(truth, scores, known).overall,
    "map": lambda truth, scores, known: partial_precision(truth, scores, known).macro,
    "auc": lambda truth, scores, known: partial_auc(truth, scores, known).macro,
}
# A box is a statement about one species: there is nothing to rank inside it, so LWLRAP has no counterpart here.
BOX_METRICS: Mapping[str, Metric] = {
    "box_auc": RECORDING_METRICS["auc"],
    "box_map": RECORDING_METRICS["map"],
}
HEADLINES = ("box_auc", "lwlrap")  # of boxes, and of recordings
COLUMNS = (  # of tables of several runs; floors follow their metric
    "box_auc",
    "box_auc_random_floor",
    "box_map",
    "box_map_random_floor",
    "lwlrap",
    "lwlrap_random_floor",
    "lwlrap_prior_floor",
    "map",
    "map_random_floor",
    "auc",
    "auc_random_floor",
)
RECORDINGS_NEED = "complete recordings (data.complete_file) in which a species is heard"
BOXES_NEED = "absent boxes of a species that has present ones (train_fp.csv, or state=absent in data.extra_tables)"


class Cells(NamedTuple):
    """What is judged: rows are recordings, or boxes with the one cell of their species known."""

    truth: NDArray[np.bool_]  # (rows, S)
    scores: NDArray[np.floating]  # (rows, S)
    known: NDArray[np.bool_]  # (rows, S)


def box_cells(species: NDArray[np.integer], present: NDArray[np.bool_], scores: FloatArray, count: int) -> Cells:
    """Boxes with their ``species``, state and score, all (n,), as cells of ``count`` species."""
    rows = np.arange(len(species))
    shape = (len(species), count)
    cells = Cells(np.zeros(shape, np.bool_), np.zeros(shape), np.zeros(shape, np.bool_))
    cells.truth[rows, species], cells.scores[rows, species], cells.known[rows, species] = present, scores, True
    return cells


def recording_values(cells: Cells, prior: FloatArray) -> dict[str, float]:
    """Metrics and floors of whole recordings; ``prior``, (S,) or (R, S), ranks species without listening."""
    truth, _, known = cells
    values = {name: metric(*cells) for name, metric in RECORDING_METRICS.items()}
    return values | {
        "map_micro": partial_precision(*cells).micro,
        "auc_micro": partial_auc(*cells).micro,
        "lwlrap_random_floor": random_floor(truth, rows_with_both(truth, known)).overall,
        "lwlrap_prior_floor": prior_floor(truth, prior, rows_with_both(truth, known)).overall,
        "map_random_floor": random_average_precision(truth, columns_with_both(truth, known)),
        "auc_random_floor": _half_where_defined(values["auc"]),
        "known_share": float(known.mean()),
    }


def box_values(cells: Cells) -> dict[str, float]:
    """Metrics and floors of boxes. A prior says the same of every box of a species: it is the random floor here."""
    values = {name: metric(*cells) for name, metric in BOX_METRICS.items()}
    return values | {
        "box_map_random_floor": random_average_precision(cells.truth, columns_with_both(cells.truth, cells.known)),
        "box_auc_random_floor": _half_where_defined(values["box_auc"]),
    }


def describe(values: Mapping[str, float | None], name: str) -> str:
    """A metric and its floors in words: ``lwlrap 0.7312 (random 0.3105, prior 0.6630)``, or that it was not judged."""
    if is_undefined(values.get(name)):
        return f"{name} not judged"
    floors = {floor: values.get(f"{name}_{floor}_floor") for floor in ("random", "prior")}
    known = ", ".join(f"{floor} {value:.4f}" for floor, value in floors.items() if value is not None)
    return f"{name} {values[name]:.4f}" + (f" ({known})" if known else "")


def headlines(values: Mapping[str, float | None], selected: str | None) -> str:
    """A metric of boxes and one of recordings in words, the one that chooses the best weights first."""
    names = dict.fromkeys([selected, *HEADLINES] if selected else HEADLINES)
    if all(is_undefined(values.get(name)) for name in names):
        return "nothing can be judged"
    return ", ".join(describe(values, name) for name in names)


def is_undefined(value: float | None) -> bool:
    """NaN, or the null that a file has in its place."""
    return value is None or math.isnan(value)


def needs(name: str) -> str:
    """What must be labelled for a metric to be defined."""
    return BOXES_NEED if name.startswith("box_") else RECORDINGS_NEED


def _half_where_defined(value: float) -> float:
    return 0.5 if value == value else math.nan
