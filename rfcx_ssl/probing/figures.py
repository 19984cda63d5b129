"""The pictures of a probe, as matplotlib figures: curves over labels, layers and updates, calls on a plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rfcx_ssl.pictures.palette import SYSTEMS
from rfcx_ssl.probing.settings import Measured, Section

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = "osD^v*P"


def section_figures(section: Section) -> dict[str, Figure]:
    """Every picture that there is something to show in, by its heading."""
    found = {"Fewer labels": label_curves(section), "Average precision per layer": layer_curves(section)}
    updates = update_curve(section)
    if updates is not None:
        found["Over pretraining"] = updates
    calls = call_map(section)
    if calls is not None:
        found["Held-out calls"] = calls
    return found


def label_curves(section: Section) -> Figure:
    """Average precision over the number of labelled training recordings, one line per system."""
    figure, axes = _axes(xlabel="labelled training recordings", xscale="log")
    labelled = section.bench.labelled_recordings
    for place, row in enumerate(section.rows):
        numbers = sorted(row.by_labels, key=lambda number: labelled[number])
        places = [labelled[number] for number in numbers]
        _line(axes, place, row, places, [row.by_labels[number] for number in numbers])
    axes.set_xticks(sorted(labelled.values()), [str(number) for number in sorted(labelled.values())], minor=False)
    axes.set_xticks([], minor=True)
    _finish(figure, axes, section)
    return figure


def layer_curves(section: Section) -> Figure:
    """Average precision of a linear head on each layer; -1 is the convolutions' output."""
    figure, axes = _axes(xlabel="layer (-1: convolutions, 0: the transformer's input)")
    for place, row in enumerate(section.rows):
        if row.role == "log-mel":
            axes.axhline(row.per_layer[0], color=_color(place), linestyle=":", label=row.name)
        else:
            first = -1 if row.layer_names[0] == "convolutions" else 0
            _line(axes, place, row, range(first, first + len(row.per_layer)), row.per_layer)
    axes.locator_params(axis="x", integer=True)
    _finish(figure, axes, section)
    return figure


def update_curve(section: Section) -> Figure | None:
    """Average precision over pretraining updates, where more than one checkpoint tells its number."""
    known = [verdict for verdict in section.verdicts if verdict.num_updates is not None]
    known.sort(key=lambda verdict: verdict.num_updates or 0)
    if len(known) < 2:
        return None
    figure, axes = _axes(xlabel="pretraining updates")
    places, values = [v.num_updates or 0 for v in known], [v.encoder.score.ap for v in known]
    axes.plot(places, values, color=SYSTEMS[0], marker="o", label="checkpoints")
    for place, row in enumerate(section.controls):
        axes.axhline(row.score.ap, color=_color(place + 1), linestyle=":", label=row.name)
    _finish(figure, axes, section)
    return figure


def call_map(section: Section) -> Figure | None:
    """Held-out calls on a plane, one panel per encoder, colored by output; None where there are too few."""
    from matplotlib.figure import Figure

    drawn = [(v.encoder.name, v.points) for v in section.verdicts if v.points is not None]
    if not drawn:
        return None
    figure = Figure(figsize=(5.2 * len(drawn), 5.2), layout="constrained", dpi=110)
    outputs = sorted({int(output) for _, points in drawn for output in points.output})
    for axes, (name, points) in zip(figure.subplots(1, len(drawn), squeeze=False)[0], drawn, strict=True):
        for rank, output in enumerate(outputs):
            chosen = points.place[points.output == output]
            style = {"color": _color(rank), "marker": MARKERS[rank // len(SYSTEMS) % len(MARKERS)]}
            axes.scatter(*chosen.T, s=18, label=section.bench.output_names[output], **style)
        axes.set(title=name, xticks=[], yticks=[])
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6 * len(drawn), frameon=False, fontsize=8)
    return figure


def _axes(**labels: str) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.0), layout="constrained", dpi=110)
    axes = figure.subplots()
    axes.set(ylabel="average precision (macro)", **labels)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _line(axes: Axes, place: int, row: Measured, x: Sequence[float], y: Sequence[float]) -> None:
    style = "-" if row.role == "encoder" else "--"
    axes.plot(list(x), list(y), color=_color(place), marker="o", markersize=4, linestyle=style, label=row.name)


def _finish(figure: Figure, axes: Axes, section: Section) -> None:
    axes.axhline(section.bench.floors.prior, color="black", linewidth=1, label="class prior")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)


def _color(place: int) -> str:
    return SYSTEMS[place % len(SYSTEMS)]
