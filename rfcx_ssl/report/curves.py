"""Precision-recall curves per species: a table of all, and a picture of the most frequent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rfcx_ssl.evaluation.judge import Scored
from rfcx_ssl.metrics import PrecisionRecall, precision_recall
from rfcx_ssl.pictures.palette import SYSTEMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from rfcx_ssl.evaluation.evaluate import Evaluation

MOST_PANELS, PANELS_A_ROW = 24, 6
CSV_COLUMNS = ("model", "species", "of", "score", "precision", "recall")


class Curve(NamedTuple):
    """One model on one species, judged by whole recordings where these tell it apart, else by boxes."""

    model: str
    species: int
    of: str  # recordings or boxes
    points: PrecisionRecall
    decision: tuple[float, float]  # recall and precision at the threshold
    share: float  # of the cells that are present: the precision of random scores
    positives: int


def species_curves(evaluation: Evaluation) -> list[Curve]:
    """Curves of every species that can be judged, model by model."""
    found = []
    for model, judged in evaluation.judged.items():
        for species in range(len(evaluation.reference.space.species_names)):
            for of, scored in (("recordings", judged.recordings), ("boxes", judged.boxes)):
                if scored.judge.compared[:, species].any():
                    found.append(_curve(model, species, of, scored))
                    break
    return found


def curve_rows(curves: Sequence[Curve], names: Sequence[str]) -> Iterator[list[str]]:
    """Rows of :data:`CSV_COLUMNS`: a point for every score that adds a positive."""
    for curve in curves:
        for score, precision, recall in zip(*(part.tolist() for part in curve.points), strict=True):
            numbers = (f"{value:.6g}" for value in (score, precision, recall))
            yield [curve.model, names[curve.species], curve.of, *numbers]


def curve_panels(curves: Sequence[Curve], names: Sequence[str], threshold: float) -> Figure | None:
    """Small multiples of the species with the most positives; None without any curve."""
    from matplotlib.figure import Figure

    positives = {curve.species: curve.positives for curve in curves}
    chosen = sorted(positives, key=lambda species: (-positives[species], species))[:MOST_PANELS]
    if not chosen:
        return None
    columns = min(PANELS_A_ROW, len(chosen))
    rows = -(-len(chosen) // columns)
    figure = Figure(figsize=(2.2 * columns + 0.6, 2.3 * rows + 0.8), layout="constrained", dpi=110)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    colors = {
        model: SYSTEMS[place % len(SYSTEMS)] for place, model in enumerate(dict.fromkeys(c.model for c in curves))
    }
    for axes, species in zip(panels, chosen, strict=False):
        _draw(axes, [curve for curve in curves if curve.species == species], colors, names[species])
    for axes in list(figure.axes)[len(chosen) :]:
        axes.set_axis_off()
    figure.supxlabel("recall", fontsize=9)
    figure.supylabel("precision", fontsize=9)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    title = f"dots: at {threshold:g}; dotted: random scores; in brackets: positives"
    figure.legend(
        handles, labels, loc="outside upper center", ncols=6, frameon=False, fontsize=8, title=title, title_fontsize=8
    )
    return figure


def _curve(model: str, species: int, of: str, scored: Scored) -> Curve:
    judge = scored.judge
    cells = judge.compared[:, species]
    truth = judge.truth[cells, species]
    decision = (float(scored.decisions.recall[species]), float(scored.decisions.precision[species]))
    points = precision_recall(truth, scored.scores[cells, species])
    return Curve(model, species, of, points, decision, float(truth.mean()), int(truth.sum()))


def _draw(axes: Axes, curves: Sequence[Curve], colors: Mapping[str, str], name: str) -> None:
    first = curves[0]
    for curve in curves:
        points, color = curve.points, colors[curve.model]
        recall, precision = np.append(0.0, points.recall), np.append(points.precision[0], points.precision)
        axes.step(recall, precision, where="pre", color=color, linewidth=1.2, label=curve.model)
        axes.plot(*curve.decision, "o", color=color, markersize=4)
    axes.axhline(first.share, color="black", linestyle=":", linewidth=0.8)
    note = f"{first.positives}" + (" boxes" if first.of == "boxes" else "")
    axes.set_title(f"{_short(name)} ({note})", fontsize=6.5)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.05))
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)


def _short(name: str, most: int = 31) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"
