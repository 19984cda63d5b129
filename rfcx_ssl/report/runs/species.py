"""Species by species: bars with intervals and floors, precision-recall curves."""

import html
import math
from collections.abc import Iterator, Mapping, Sequence

from rfcx_ssl.evaluation.evaluate import Evaluation
from rfcx_ssl.report.chart import Axis, Line, lines, panels
from rfcx_ssl.report.curves import Curve
from rfcx_ssl.report.evaluation_tables import species_grid
from rfcx_ssl.report.markup import details, key, paragraph, table

MOST_BARS, MOST_CURVES = 60, 24  # species, those with the most positives
Rows = Sequence[Mapping[str, object]]


def species_parts(evaluation: Evaluation, rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Average precision of recordings, or of boxes where no recording tells; ``rows`` are those of species.csv."""
    models = list(evaluation.judged)
    by_species: dict[object, dict[object, Mapping[str, object]]] = {}
    for row in rows:
        by_species.setdefault(row["species"], {})[row["model"]] = row
    judged = [(name, own, _measure(own.values())) for name, own in by_species.items()]
    shown = [(name, own, measure) for name, own, measure in judged if measure is not None]
    shown.sort(key=lambda one: (-_count(one[1], models, one[2]), str(one[0])))
    if shown:
        yield key(models)
        lines_ = "".join(_row(str(name), own, models, measure) for name, own, measure in shown[:MOST_BARS])
        head = "<thead><tr><th scope='col'>species</th><th scope='col'>present</th><th scope='col'>average precision</th></tr></thead>"
        yield f"<table class='bartable'>{head}<tbody>{lines_}</tbody></table>"
        yield paragraph(
            "Thin lines: 95 % intervals, where at least five present and five absent ones are known. Upright ticks: random scores. "
            "Recordings are judged where they tell a species apart, else boxes.", "note",
        )  # fmt: skip
    if (left := len(judged) - len(shown)) > 0:
        yield paragraph(
            f"{left} of {len(judged)} species cannot be judged: nothing tells their present from their absent ones."
        )
    if len(shown) > MOST_BARS:
        yield paragraph(f"Shown are the {MOST_BARS} species with the most positives; the table has all.")
    grid = species_grid(rows, models)
    yield details("All numbers by species", table(grid.headers, grid.rows), printed=False)


def _measure(rows: object) -> str | None:
    values = list(rows)  # type: ignore[call-overload]
    return next((name for name in ("ap", "box_ap") if any(row[name] is not None for row in values)), None)


def _count(own: Mapping[object, Mapping[str, object]], models: Sequence[str], measure: str | None) -> int:
    return int(str(own[models[0]]["boxes_present" if measure == "box_ap" else "present"]))


def _row(name: str, own: Mapping[object, Mapping[str, object]], models: Sequence[str], measure: str) -> str:
    count = _count(own, models, measure)
    what = ("box" if measure == "box_ap" else "recording") + (
        "" if count == 1 else "es" if measure == "box_ap" else "s"
    )
    tracks = "".join(_track(model, own[model], measure, place) for place, model in enumerate(models))
    return (
        f"<tr><th scope='row' class='name'>{html.escape(name)}</th>"
        f"<td>{count} {what}</td><td class='bars'>{tracks}</td></tr>"
    )


def _track(model: str, row: Mapping[str, object], measure: str, place: int) -> str:
    value, low, high = (_float(row[f"{measure}{end}"]) for end in ("", "_low", "_high"))
    floor = _float(row["ap_random_floor"]) if measure == "ap" else math.nan
    if math.isnan(value):
        return f"<div class='track' title='{html.escape(model, quote=True)}: not judged'><b>–</b></div>"  # noqa: RUF001
    told = f"{model}: {value:.3f}" + (f" [{low:.3f}, {high:.3f}]" if math.isfinite(low) else "")
    parts = f"<i class='bar c{place % 7}' style='width:{value:.1%}'></i>"
    if math.isfinite(low):
        parts += f"<i class='range' style='left:{low:.1%};width:{high - low:.1%}'></i>"
    if math.isfinite(floor):
        parts += f"<i class='tick' style='left:{floor:.1%}'></i>"
    return f"<div class='track' title='{html.escape(told, quote=True)}'>{parts}<b>{value:.2f}</b></div>"


def curve_parts(
    curves: Sequence[Curve], names: Sequence[str], models: Sequence[str], threshold: float
) -> Iterator[str]:
    """Precision over recall, a panel per species."""
    positives = {curve.species: curve.positives for curve in curves}
    chosen = sorted(positives, key=lambda species: (-positives[species], species))[:MOST_CURVES]
    if not chosen:
        yield paragraph("No precision-recall curves: no species is known to be both present and absent somewhere.")
        return
    yield key(models)
    yield panels([_curves([c for c in curves if c.species == s], names[s], models) for s in chosen])
    more = (
        f" Shown are the {MOST_CURVES} of {len(positives)} species with the most positives."
        if len(positives) > MOST_CURVES
        else ""
    )
    yield paragraph(
        f"Dots: decisions at {threshold:g}, or a model's own for boxes. Dotted: the precision of random scores. "
        f"In brackets: positives.{more}", "note",
    )  # fmt: skip


def _curves(curves: Sequence[Curve], name: str, models: Sequence[str]) -> str:
    series = []
    for curve in curves:
        place = models.index(curve.model)
        recall, precision = curve.points.recall.tolist(), curve.points.precision.tolist()
        steps = [(0.0, precision[0])]
        for r, p in zip(recall, precision, strict=True):
            steps += [(steps[-1][0], p), (r, p)]
        series.append(Line(curve.model, steps, place))
        at = [curve.decision] if all(map(math.isfinite, curve.decision)) else []
        tip = f"{curve.model}: recall {curve.decision[0]:.2f}, precision {curve.decision[1]:.2f}"
        series.append(Line(curve.model, at, place, dots=True, tips=[tip], line=False))
    first = curves[0]
    title = f"{name} ({first.positives}{' boxes' if first.of == 'boxes' else ''})"
    areas = ", ".join(f"{c.model} {_area(c):.2f}" for c in curves)
    alt = f"Precision over recall of {name}, {first.positives} positive {first.of}; average precision: {areas}; random {first.share:.2f}"
    return lines(title, series, Axis(0.0, 1.0, "recall"), Axis(0.0, 1.0), alt, levels={"": first.share})


def _area(curve: Curve) -> float:
    """Average precision: recall gained times precision."""
    before, total = 0.0, 0.0
    for recall, precision in zip(curve.points.recall.tolist(), curve.points.precision.tolist(), strict=True):
        total += (recall - before) * precision
        before = recall
    return total


def _float(value: object) -> float:
    return value if isinstance(value, float) else math.nan
