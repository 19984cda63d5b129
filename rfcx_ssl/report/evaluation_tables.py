"""The tables of an evaluation: rows for CSV, text for the terminal, for Markdown and for the page."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import isnan
from typing import NamedTuple, TypeGuard

import numpy as np

from rfcx_ssl.evaluation.evaluate import Evaluation, Judged, Verdict
from rfcx_ssl.evaluation.groups import ALL
from rfcx_ssl.metrics import Interval, best_f1
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.metrics.events import EventMetrics
from rfcx_ssl.report.document import Grid

KINDS = {  # of groups: heading and first column
    "site": ("Sites", "site"),
    "hour": ("Hours of the day", "hour"),
    "snr_db": ("Loudness: signal to noise of a species' loudest call in a recording", "dB"),
}
NOTHING = "–"  # noqa: RUF001 - an en dash is meant


class Score(NamedTuple):
    """A line of the table of scores: what it is called, its column, and the columns of its floors."""

    label: str
    column: str
    chance: str | None = None  # of a random ranking
    blind: str | None = None  # of the class prior, or of detecting everything always


SCORES = (
    Score("LWLRAP, raw", "lwlrap", "lwlrap_random_floor", "lwlrap_prior_floor"),
    Score("LWLRAP, prior-scaled", "lwlrap_scaled", None, "lwlrap_prior_floor"),
    Score("mAP over species", "map", "map_random_floor"),
    Score("AP of all cells pooled", "map_micro", "map_micro_random_floor"),
    Score("ROC-AUC over species", "auc", "auc_random_floor"),
    Score("ROC-AUC of all cells pooled", "auc_micro"),
    Score("precision", "precision"),
    Score("recall", "recall"),
    Score("F1, pooled", "f1", None, "f1_always_floor"),
    Score("F1 over species", "f1_macro"),
    Score("boxes: ROC-AUC over species", "box_auc", "box_auc_random_floor"),
    Score("boxes: mAP over species", "box_map", "box_map_random_floor"),
    Score("boxes: precision", "box_precision"),
    Score("boxes: recall", "box_recall"),
    Score("boxes: F1, pooled", "box_f1", None, "box_f1_always_floor"),
    Score("segment F1", "segment_f1"),
    Score("segment F1 at the best thresholds", "segment_f1_best", None, "segment_f1_best_always_floor"),
    Score("event F1", "event_f1"),
    Score("event F1 at the best thresholds", "event_f1_best", None, "event_f1_best_always_floor"),
    Score("PSDS", "psds", None, "psds_always_floor"),
)
TERMINAL = {
    "LWLRAP raw": "lwlrap",
    "+ prior": "lwlrap_scaled",
    "mAP": "map",
    "AUC": "auc",
    "box AUC": "box_auc",
    "precision": "precision",
    "recall": "recall",
    "F1": "f1",
    "box prec.": "box_precision",
    "box recall": "box_recall",
    "seg. F1": "segment_f1_best",
    "PSDS": "psds",
}
TRAINING = ("labels", "parameters", "train_s", "times_real_time")  # of a model, in its row for everything


def terminal_grid(evaluation: Evaluation) -> Grid:
    """Floors and models as rows, the scores that are defined as columns, the interval of the first of them beside it."""
    left_out = ("box_precision", "box_recall") if _defined(evaluation, "f1") else ()
    shown = {h: column for h, column in TERMINAL.items() if _defined(evaluation, column) and column not in left_out}
    floors = {score.column: score for score in SCORES}
    values = next(iter(evaluation.overall.values())).values
    rows = []
    for label, kind in (("chance (floor)", "chance"), ("prior, always (floor)", "blind")):
        keys = [getattr(floors[column], kind) for column in shown.values()]
        cells = [NOTHING if key is None else _number(values[key]) for key in keys]
        rows.append([label, *_beside_first(cells, NOTHING)])
    for model, verdict in evaluation.overall.items():
        cells = [_number(verdict.values[column]) for column in shown.values()]
        first = next(iter(shown.values()), "lwlrap")
        rows.append([model, *_beside_first(cells, _range(verdict.values, first))])
    return Grid(["system", *_beside_first(list(shown), "95 % interval")], rows, range(2))


def score_grid(evaluation: Evaluation) -> Grid:
    """A line per score that is defined: floors, then models with their intervals, then margins over the first model."""
    models, first = list(evaluation.overall), next(iter(evaluation.overall.values())).values
    rows = []
    for score in SCORES:
        if _defined(evaluation, score.column):
            floors = [NOTHING if key is None else _number(first[key]) for key in (score.chance, score.blind)]
            cells = [_with_range(evaluation.overall[model].values, score.column) for model in models]
            margins = [_with_range(evaluation.overall[m].values, f"{score.column}_over_first") for m in models[1:]]
            rows.append([score.label, *floors, *cells, *margins])
    headers = ["score", "chance", "prior, always", *models, *(f"{model} over {models[0]}" for model in models[1:])]
    return Grid(headers, rows)


def group_grids(evaluation: Evaluation) -> Iterator[tuple[str, Grid]]:
    """A heading and a table per kind of group: the first score that is defined with its floors, mAP and F1, per model."""
    by_kind: dict[str, dict[str, list[Verdict]]] = {}
    for verdict in evaluation.verdicts:
        if verdict.group.kind != ALL:
            by_kind.setdefault(verdict.group.kind, {}).setdefault(verdict.group.name, []).append(verdict)
    headline = next((column for column in ("lwlrap", "box_auc", "map") if _defined(evaluation, column)), "f1")
    columns = [name for name in dict.fromkeys((headline, "map", "f1")) if _defined(evaluation, name)]
    scores = {score.column: score for score in SCORES}
    floors = [key for key in (scores[headline].chance, scores[headline].blind) if key]
    names = {column: header.removesuffix(" raw") for header, column in TERMINAL.items()}
    for kind, groups in by_kind.items():
        heading, first_column = KINDS[kind]
        headers = [first_column, "recordings", "present"]
        headers += [f"{names[headline]} {'by chance' if 'random' in key else 'of the prior'}" for key in floors]
        headers += [f"{names[column]} {model}" for column in columns for model in evaluation.heard]
        rows = []
        for name, verdicts in groups.items():
            values = verdicts[0].values
            cells = [name, *(f"{values[key]:.0f}" for key in ("recordings", "present"))]
            cells += [_number(values[key]) for key in floors]
            cells += [_with_range(verdict.values, column) for column in columns for verdict in verdicts]
            rows.append(cells)
        yield heading, Grid(headers, rows)


def species_grid(rows: Sequence[dict[str, object]], models: Sequence[str]) -> Grid:
    """Species by how often they are known to be present, each model's scores side by side."""
    shown = {"AP": "ap", "AUC": "auc", "box AUC": "box_auc", "precision": "precision", "recall": "recall",
             "F1": "f1", "seg. F1": "segment_f1_best"}  # fmt: skip
    kept = {header: column for header, column in shown.items() if any(_is_number(row[column]) for row in rows)}
    by_species: dict[object, dict[object, dict[str, object]]] = {}
    for row in rows:
        by_species.setdefault(row["species"], {})[row["model"]] = row
    body = []
    for of_models in by_species.values():
        first = of_models[models[0]]
        counts = [str(first[key]) for key in ("present", "absent", "boxes_present", "boxes_absent")]
        cells = [_with_range(of_models[model], column) for column in kept.values() for model in models]
        body.append([str(first["species"]), *counts, _number(first["ap_random_floor"]), *cells])
    order = sorted(body, key=lambda cells: (-int(cells[1]), -int(cells[3])))
    headers = ["species", "present", "absent", "boxes present", "boxes absent", "AP by chance"]
    many = len(models) > 1
    headers += [f"{header}, {model}" if many else header for header in kept for model in models]
    return Grid(headers, order)


def evaluation_rows(evaluation: Evaluation) -> tuple[list[str], list[list[str]]]:
    """Header and rows of evaluation.csv: one per model and group; empty where something does not apply."""
    columns = list(dict.fromkeys(key for verdict in evaluation.verdicts for key in verdict.values))
    rows = []
    for verdict in evaluation.verdicts:
        heard = evaluation.heard[verdict.model]
        training = [heard.facts.labels, heard.parameters, heard.facts.train_s, heard.times_real_time]
        cells = [csv_cell(verdict.values.get(name)) for name in columns]
        cells += [csv_cell(value) if verdict.group.kind == ALL else "" for value in training]
        rows.append([verdict.model, verdict.group.kind, verdict.group.name, *cells])
    return ["model", "group_by", "group", *columns, *TRAINING], rows


def species_rows(evaluation: Evaluation) -> list[dict[str, object]]:
    """Rows of species.csv: one per model and species; None where something does not apply."""
    names, calls = evaluation.reference.space.species_names, Counter(
        call.species_id for own in evaluation.reference.calls for call in own
    )  # fmt: skip
    rows = []
    for model, judged in evaluation.judged.items():
        columns = _species_columns(evaluation, judged)
        for species, name in enumerate(names):
            cells: dict[str, object] = {
                "model": model,
                "species_id": species,
                "species": name,
                "calls": calls[species],
            }
            for key, values in columns.items():
                value = float(values[species])
                cells[key] = None if isnan(value) else int(value) if key in COUNTS else value
            rows.append(cells)
    return rows


COUNTS = ("present", "absent", "boxes_present", "boxes_absent")


def _species_columns(evaluation: Evaluation, judged: Judged) -> dict[str, FloatArray]:
    """Column -> a value per species (S,)."""
    raw, boxes = judged.recordings, judged.boxes
    judge, best = raw.judge, best_f1(raw.judge.truth, raw.scores, raw.judge.compared)
    nothing = np.full(judge.truth.shape[1], np.nan)
    columns = {
        "present": judge.truth.sum(axis=0), "absent": (judge.known & ~judge.truth).sum(axis=0),
        "boxes_present": boxes.judge.truth.sum(axis=0),
        "boxes_absent": (boxes.judge.known & ~boxes.judge.truth).sum(axis=0),
        "lwlrap": raw.ranking.per_class,
        "lwlrap_scaled": judged.scaled.ranking.per_class if judged.scaled else nothing,
        **_interval_columns("ap", raw.intervals("map")[2:]),
        "ap_random_floor": judge.chance,
        **_interval_columns("auc", raw.intervals("auc")[2:]),
        "threshold": np.broadcast_to(judge.threshold, len(nothing)),
        **_decision_columns("", raw.intervals("decisions")),
        "best_f1": best.per_class, "best_threshold": best.threshold,
        **_interval_columns("box_ap", boxes.intervals("map")[2:]),
        **_interval_columns("box_auc", boxes.intervals("auc")[2:]),
        **_decision_columns("box_", boxes.intervals("decisions")),
    }  # fmt: skip
    for name in EventMetrics._fields:
        columns[name] = getattr(judged.events, name).per_class if judged.events else nothing
    return columns


def _interval_columns(name: str, intervals: Sequence[Interval]) -> dict[str, FloatArray]:
    values = np.array(intervals, np.float64).reshape(-1, 3)
    return {name: values[:, 0], f"{name}_low": values[:, 1], f"{name}_high": values[:, 2]}


def _decision_columns(prefix: str, drawn: Sequence[Interval]) -> dict[str, FloatArray]:
    """Precision, recall and F1 of the species; the pooled values at the end of each are left out."""
    size = len(drawn) // 3
    columns: dict[str, FloatArray] = {}
    for place, name in enumerate(("precision", "recall", "f1")):
        columns |= _interval_columns(f"{prefix}{name}", drawn[place * size : (place + 1) * size - 1])
    return columns


def csv_cell(value: object) -> str:
    """A cell of a table on disk; empty for None and NaN."""
    if value is None or (isinstance(value, float) and isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _defined(evaluation: Evaluation, column: str) -> bool:
    return any(_is_number(verdict.values[column]) for verdict in evaluation.overall.values())


def _beside_first(cells: Iterable[str], inserted: str) -> list[str]:
    first, *rest = [*cells] or [NOTHING]
    return [first, inserted, *rest]


def _with_range(values: Mapping[str, object], column: str) -> str:
    """A value with the ends of its interval, where it has any."""
    text, ends = _number(values.get(column)), _range(values, column)
    return text if ends == NOTHING else f"{text} [{ends}]"


def _range(values: Mapping[str, object], column: str) -> str:
    low, high = values.get(f"{column}_low"), values.get(f"{column}_high")
    return f"{_number(low)}, {_number(high)}" if _is_number(low) else NOTHING


def _number(value: object) -> str:
    return f"{value:.3f}" if _is_number(value) else NOTHING


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and not isnan(value)
