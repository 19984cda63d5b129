"""The figures of the comparison, as matplotlib figures: bars per species, training curves, one recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rfcx_ssl.audio import read_audio
from rfcx_ssl.pictures.recording import Box, draw_recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rfcx_ssl.frames import FrameGrid
    from rfcx_ssl.metrics.arrays import FloatArray
    from rfcx_ssl.report.runs import Curve
    from rfcx_ssl.report.testset import TestSet

SYSTEM_COLOURS = ("#1b9e77", "#d95f02", "#7570b3", "#e7298a", "#66a61e", "#e6ab02", "#666666")
MAX_FALSE_ROWS = 3  # species that are not in the pictured recording, but score highest in it


def species_bars(
    test_set: TestSet, systems: Mapping[str, FloatArray], prior: FloatArray, title: str = "LWLRAP, prior-scaled"
) -> Figure:
    """Horizontal bars of the per-class values (S,) of every system, most frequent species first; the prior as ticks."""
    from matplotlib.figure import Figure

    count = test_set.truth.sum(axis=0)
    order = [s for s in np.argsort(-count, kind="stable") if count[s]]
    figure = Figure(figsize=(9, 1.2 + 0.34 * max(len(order), 1)), layout="constrained", dpi=110)
    axes = figure.subplots()
    rows = np.arange(len(order))
    thickness = 0.8 / max(len(systems), 1)
    for place, (name, values) in enumerate(systems.items()):
        offset = (place - (len(systems) - 1) / 2) * thickness
        colour = SYSTEM_COLOURS[place % len(SYSTEM_COLOURS)]
        axes.barh(rows + offset, values[order], height=thickness * 0.92, color=colour, label=name)
    axes.vlines(prior[order], rows - 0.45, rows + 0.45, color="black", linewidth=1.6, label="class prior (floor)")
    axes.set_yticks(rows, [f"{test_set.species_names[s]} ({count[s]})" for s in order], fontsize=8)
    axes.set(xlim=(0, 1), xlabel=f"{title} (in brackets: test recordings with the species)")
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=min(len(systems) + 1, 4), frameon=False)
    return figure


def training_curves(curves: Mapping[str, Sequence[Curve]]) -> Figure | None:
    """One panel per quantity (training loss, validation LWLRAP ...), one line per run; None without any curve.

    A quantity that no run has measured twice is no curve.
    """
    from matplotlib.figure import Figure

    titles = list(dict.fromkeys(c.title for run in curves.values() for c in run if len(c.steps) > 1))
    if not titles:
        return None
    figure = Figure(figsize=(4.8 * len(titles), 3.4), layout="constrained", dpi=110)
    for axes, title in zip(figure.subplots(1, len(titles), squeeze=False)[0], titles, strict=True):
        for place, (name, run) in enumerate(curves.items()):
            for curve in run:
                if curve.title == title:
                    marker = "o" if len(curve.steps) < 30 else None
                    colour = SYSTEM_COLOURS[place % len(SYSTEM_COLOURS)]
                    axes.plot(curve.steps, curve.values, label=name, color=colour, marker=marker, markersize=3)
        axes.set(title=title, xlabel="optimizer steps")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1), frameon=False)
    return figure


def pick_recording(test_set: TestSet) -> int:
    """The recording with the most species, then the most calls, then the first: chosen without looking at scores."""
    richness = [(len({call.species_id for call in calls}), len(calls)) for calls in test_set.calls]
    return max(range(len(richness)), key=lambda row: (richness[row], -row))


def recording_figure(
    test_set: TestSet, row: int, probability: NDArray[np.float32], grid: FrameGrid, system: str
) -> Figure:
    """Spectrogram of one recording with its true boxes; frame ``probability`` (T, S) of ``system`` below.

    The rows are the species that are there, and a few that are not but score highest.
    """
    path, calls = test_set.paths[row], test_set.calls[row]
    present = list(dict.fromkeys(call.species_id for call in calls))
    absent = [s for s in np.argsort(-probability.max(axis=0), kind="stable") if s not in present]
    shown = present + [int(s) for s in absent[:MAX_FALSE_ROWS]]
    names = [test_set.species_names[s] for s in present]
    names += [f"{test_set.species_names[s]} (not there)" for s in shown[len(present) :]]
    boxes = [
        Box(call.start_s, call.end_s, call.f_min_hz, call.f_max_hz, test_set.species_names[call.species_id])
        for call in calls
    ]
    return draw_recording(
        read_audio(path, sample_rate_hz=grid.sample_rate_hz),
        grid.sample_rate_hz,
        probability[:, shown],
        grid.frame_s,
        names,
        boxes,
        title=f"{path.stem}: every call (boxes), and what {system} hears (frame probabilities, raw)",
        box_name="true calls",
    )
