"""The comparison of a report: a table of all scores, each with its floors, and pictures of intervals and paired margins."""

import math
from collections.abc import Iterator, Mapping

from rfcx_ssl.evaluation.evaluate import Evaluation
from rfcx_ssl.report.chart import Axis, Bar, interval_text, intervals, panels
from rfcx_ssl.report.evaluation_tables import NOTHING, SCORES, Score, score_grid
from rfcx_ssl.report.markup import paragraph, table

PICTURED = ("lwlrap", "lwlrap_scaled", "map", "auc", "box_auc", "box_map", "f1", "segment_f1_best", "psds")
MARGINS = ("lwlrap", "map", "auc", "box_auc", "box_map")
UNIT = Axis(0.0, 1.0)


def comparison_parts(evaluation: Evaluation) -> Iterator[str]:
    """The best first: pictures, then every number."""
    models, labels = list(evaluation.overall), {score.column: score for score in SCORES}
    shown = [_panel(evaluation, labels[column]) for column in PICTURED if _is_defined(evaluation, column)]
    if not shown:
        yield paragraph("No score is defined on these recordings; the notes say what is missing.")
        return
    yield panels(shown)
    yield paragraph(
        "Dots: the score; bars: its 95 % interval, where there is one; lines with a name: what is reached without listening.",
        "note",
    )
    yield f"<h3>Margins over {_code(models[0])}</h3>"
    if len(models) == 1:
        yield paragraph("There is one model alone: margins need a second RUN.")
    else:
        yield panels([_margins(evaluation, labels[column]) for column in MARGINS if _has_margin(evaluation, column)])
        yield paragraph(
            "Paired: both models on the same drawn recordings. An interval without 0 is a difference on such recordings; "
            "it says nothing about other training seeds.", "note",
        )  # fmt: skip
    grid = score_grid(evaluation)
    yield "<h3>All scores</h3>"
    yield table(grid.headers, grid.rows)


def leading_model(evaluation: Evaluation) -> tuple[str, Score | None]:
    """The model that is highest in the first score that is defined, and that score; the first of equals."""
    for score in SCORES:
        if _is_defined(evaluation, score.column):
            values = {name: verdict.values[score.column] for name, verdict in evaluation.overall.items()}
            return max(values, key=lambda name: -math.inf if math.isnan(values[name]) else values[name]), score
    return next(iter(evaluation.heard)), None


def lead(evaluation: Evaluation) -> str:
    """The most important sentence: who leads in what, and what is reached without listening."""
    name, score = leading_model(evaluation)
    count = len(evaluation.reference.paths)
    if score is None:
        return f"{len(evaluation.heard)} models on {count} recordings; no score is defined there."
    values = evaluation.overall[name].values
    floors = {"by chance": score.chance, "by how common species are": score.blind}
    told = [f"{_number(values[column])} {how}" for how, column in floors.items() if column is not None]
    models = f"{len(evaluation.heard)} models" if len(evaluation.heard) > 1 else "One model"
    return (
        f"{models} on {count} recordings ({evaluation.reference.what}). {score.label}: {name} "
        f"{interval_text(_bar(name, values, score.column, 0))}" + (f"; without listening {', '.join(told)}." if told else ".")
    )  # fmt: skip


def _panel(evaluation: Evaluation, score: Score) -> str:
    bars = [
        _bar(name, verdict.values, score.column, place)
        for place, (name, verdict) in enumerate(evaluation.overall.items())
    ]
    first = next(iter(evaluation.overall.values())).values
    floors = {"chance": score.chance, "prior" if "lwlrap" in score.column else "always": score.blind}
    marks = {f"{name} {_number(first[key])}": first[key] for name, key in floors.items() if key is not None}
    told = [f"{bar.name} {interval_text(bar)}" for bar in bars] + list(marks)
    return intervals(score.label, bars, UNIT, f"{score.label}: {'; '.join(told)}", marks=marks)


def _margins(evaluation: Evaluation, score: Score) -> str:
    column = f"{score.column}_over_first"
    bars = [
        _bar(name, verdict.values, column, place)
        for place, (name, verdict) in enumerate(evaluation.overall.items())
        if place
    ]
    reach = max([abs(v) for bar in bars for v in (bar.value, bar.low, bar.high) if math.isfinite(v)], default=0.0)
    axis = Axis(-1.1 * (reach or 0.1), 1.1 * (reach or 0.1))
    first = next(iter(evaluation.overall))
    told = "; ".join(f"{bar.name} {interval_text(bar)}" for bar in bars)
    return intervals(
        score.label, bars, axis, f"{score.label}, margin over {first}: {told}", marks={f"as {first}": 0.0}
    )


def _bar(name: str, values: Mapping[str, float], column: str, place: int) -> Bar:
    nothing = math.nan
    return Bar(
        name, values[column], values.get(f"{column}_low", nothing), values.get(f"{column}_high", nothing), place
    )


def _is_defined(evaluation: Evaluation, column: str) -> bool:
    return any(not math.isnan(verdict.values[column]) for verdict in evaluation.overall.values())


def _has_margin(evaluation: Evaluation, column: str) -> bool:
    values = [verdict.values.get(f"{column}_over_first", math.nan) for verdict in evaluation.overall.values()]
    return any(not math.isnan(value) for value in values)


def _number(value: float) -> str:
    return NOTHING if math.isnan(value) else f"{value:.3f}"


def _code(name: str) -> str:
    import html

    return html.escape(name)
