"""Scores by round, with intervals, and beside them the control."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rfcx_ssl.pictures.palette import SYSTEMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Panel(NamedTuple):
    """One measure of all rounds: (value, low, high) for each name, NaN where nothing is known."""

    title: str
    names: Sequence[str]
    intervals: Sequence[tuple[float, float, float]]


def rounds_figure(panels: Sequence[Panel], control: str) -> Figure:
    """A panel beside the other; the arm called ``control`` is a band across the panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.2 * len(panels) + 0.4, 3.2), layout="constrained", dpi=110)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False).flat, panels, strict=True):
        _draw(axes, panel, control)
    return figure


def _draw(axes: Axes, panel: Panel, control: str) -> None:
    of = dict(zip(panel.names, panel.intervals, strict=True))
    beside = of.pop(control, None)
    values, low, high = np.array(list(of.values()), np.float64).reshape(-1, 3).T
    places = np.arange(len(of))
    spread = np.nan_to_num(np.clip([values - low, high - values], 0, None))
    axes.errorbar(places, values, yerr=spread, fmt="o-", color=SYSTEMS[0], capsize=3, markersize=5, label="rounds")
    if beside is not None and not np.isnan(beside[0]):
        axes.axhspan(*beside[1:], color=SYSTEMS[1], alpha=0.15, linewidth=0)
        axes.axhline(beside[0], color=SYSTEMS[1], linestyle="--", label=control)
        axes.legend(frameon=False, fontsize=8)
    axes.set_xticks(places, [name.replace("_", " ") for name in of], fontsize=8)
    axes.set_xlim(-0.4, len(of) - 0.6)
    axes.set_title(panel.title, fontsize=9)
    axes.tick_params(axis="y", labelsize=8)
    axes.grid(axis="y", alpha=0.3)
