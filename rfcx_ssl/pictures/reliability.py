"""Reliability diagrams as small multiples: how often a species is there, by the probability it was given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from rfcx_ssl.pictures.palette import SYSTEMS, UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

MOST_PANELS, PANELS_A_ROW = 24, 6


class Points(Protocol):
    """Bins of probability: how many cells, their mean probability and the share that is present, NaN where there are none."""

    @property
    def count(self) -> NDArray[np.int64]: ...  # noqa: D102
    @property
    def confidence(self) -> NDArray[np.float64]: ...  # noqa: D102
    @property
    def share(self) -> NDArray[np.float64]: ...  # noqa: D102


class Panel(NamedTuple):
    """One species, before and after calibration."""

    title: str
    before: Points
    after: Points


def reliability_figure(panels: Sequence[Panel]) -> Figure:
    """The first ``MOST_PANELS`` panels. Numbers above the axis count the cells of each bin after calibration."""
    from matplotlib.figure import Figure

    shown = panels[:MOST_PANELS]
    columns = min(PANELS_A_ROW, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(2.5 * columns + 0.6, 2.6 * rows + 0.9), layout="constrained", dpi=110)
    every = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).flat
    for axes, panel in zip(every, shown, strict=False):
        _draw(axes, panel)
    for axes in list(figure.axes)[len(shown) :]:
        axes.set_axis_off()
    figure.supxlabel("probability", fontsize=9)
    figure.supylabel("share that is present", fontsize=9)
    title = "on recordings that the calibration was not fitted on; below: cells in each bin, before and after"
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside upper center", ncols=2, frameon=False, fontsize=8, title=title, title_fontsize=8
    )
    return figure


def _draw(axes: Axes, panel: Panel) -> None:
    axes.plot([0, 1], [0, 1], color=UNKNOWN, linewidth=1)
    for label, points, color, height in (
        ("before", panel.before, SYSTEMS[-1], -0.1),
        ("after", panel.after, SYSTEMS[0], -0.2),
    ):
        filled = points.count > 0
        axes.plot(points.confidence[filled], points.share[filled], "o-", color=color, markersize=3.5, label=label)
        for place in np.flatnonzero(filled).tolist():
            middle = (place + 0.5) / len(filled)
            axes.text(middle, height, _short(int(points.count[place])), color=color, fontsize=4.5, ha="center")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.26, 1.05))
    axes.set_yticks([0, 0.5, 1])
    axes.set_title(panel.title, fontsize=6.5)
    axes.tick_params(labelsize=7)
    axes.grid(alpha=0.3)


def _short(count: int) -> str:
    """1234 as ``1k``: ten of them share an axis."""
    return str(count) if count < 1000 else f"{count / 1000:.0f}k"
