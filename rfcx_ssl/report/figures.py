"""The figures of the comparison, as matplotlib figures: bars per species, training curves, one recording."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from rfcx_ssl.audio import read_audio
from rfcx_ssl.pictures.palette import SYSTEMS
from rfcx_ssl.pictures.recording import draw_recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from rfcx_ssl.data import Truth
    from rfcx_ssl.evaluation.reference import Reference
    from rfcx_ssl.evaluation.runs import Curve, RunFacts
    from rfcx_ssl.frames import FrameGrid
    from rfcx_ssl.metrics.arrays import FloatArray

    Panels: TypeAlias = Mapping[str, Mapping[str, float]]

MAX_FALSE_ROWS = 3  # species that are not in the pictured recording, but score highest in it


class Bars(NamedTuple):
    """One panel of bars: a value per species (S,) for every system, and what is reached without listening."""

    title: str
    systems: Mapping[str, FloatArray]
    floor: FloatArray
    floor_name: str


def species_bars(truth: Truth | Reference, panels: Sequence[Bars]) -> Figure:
    """Horizontal bars per species, the most frequent first, one panel beside the other; floors as ticks."""
    from matplotlib.figure import Figure

    count = truth.truth.sum(axis=0).astype(int)
    order = [int(s) for s in np.argsort(-count, kind="stable") if count[s]]
    height = 1.6 + 0.34 * max(len(order), 1)
    figure = Figure(figsize=(4 + 5 * len(panels), height), layout="constrained", dpi=110)
    rows = np.arange(len(order))
    for axes, panel in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels, strict=True):
        thickness = 0.8 / max(len(panel.systems), 1)
        for place, (name, values) in enumerate(panel.systems.items()):
            offset = (place - (len(panel.systems) - 1) / 2) * thickness
            color = SYSTEMS[place % len(SYSTEMS)]
            axes.barh(rows + offset, values[order], height=thickness * 0.92, color=color, label=name)
        axes.vlines(panel.floor[order], rows - 0.45, rows + 0.45, color="black", linewidth=1.6)
        axes.set(xlim=(0, 1), xlabel=f"{panel.title}\n(black ticks: {panel.floor_name})")
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    first = figure.axes[0]
    first.set_yticks(rows, [f"{truth.space.species_names[s]} ({count[s]})" for s in order], fontsize=8)
    first.set(ylabel="in brackets: test recordings with the species", ylim=(len(order) - 0.4, -0.6))
    figure.legend(*first.get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
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
                    color = SYSTEMS[place % len(SYSTEMS)]
                    axes.plot(curve.steps, curve.values, label=name, color=color, marker=marker, markersize=3)
        axes.set(title=title, xlabel="optimizer steps")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=max(len(labels), 1), frameon=False)
    return figure


def name_series(runs: Mapping[str, RunFacts]) -> dict[str, list[str]]:
    """Runs of one model that differ in labels and seeds, by the words their names share; none with one number of labels."""
    groups: dict[str, list[str]] = {}
    for name, facts in runs.items():
        if facts.settings is not None and facts.labels is not None:
            groups.setdefault(facts.settings, []).append(name)
    series = {}
    for names in groups.values():
        if len({runs[name].labels for name in names}) > 1:
            words = [re.split(r"[-_. ]+", name) for name in names]
            shared = " ".join(word for word in words[0] if all(word in other for other in words))
            series[shared if shared and shared not in series else names[0]] = names
    return series


def label_curves(series: Mapping[str, Sequence[str]], labels: Mapping[str, int], panels: Panels) -> Figure:
    """Scores against labelled recordings: a dot per run, a line through the means. ``panels``: title -> run -> score."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8 * len(panels), 3.6), layout="constrained", dpi=110)
    for axes, (title, scores) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        for place, (shown, names) in enumerate(series.items()):
            color, found = SYSTEMS[place % len(SYSTEMS)], [name for name in names if name in scores]
            axes.plot([labels[n] for n in found], [scores[n] for n in found], ".", color=color, alpha=0.6)
            counts = sorted({labels[name] for name in found})
            means = [np.mean([scores[name] for name in found if labels[name] == count]) for count in counts]
            axes.plot(counts, means, color=color, label=shown)
        axes.set(title=title, xlabel="labelled recordings", xscale="log")
        axes.set_xticks(ticks := sorted({labels[name] for names in series.values() for name in names}), ticks)
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=max(len(names), 1), frameon=False)
    return figure


def pick_recording(truth: Truth | Reference, rows: Sequence[int] | None = None) -> int:
    """The recording (of ``rows``) with the most species, then the most calls, then the first: without looking at scores."""
    richness = [(len({call.species_id for call in calls}), len(calls)) for calls in truth.calls]
    return max(range(len(richness)) if rows is None else rows, key=lambda row: (richness[row], -row))


def recording_figure(
    truth: Truth | Reference, row: int, probability: NDArray[np.float32], grid: FrameGrid, system: str
) -> Figure:
    """Spectrogram of one recording with its true boxes; frame ``probability`` (T, S) of ``system`` below.

    The rows are the species that are there, and a few that are not but score highest.
    """
    calls, names = truth.calls[row], truth.space.species_names
    rows = {call.species_id: names[call.species_id] for call in calls}
    absent = [int(s) for s in np.argsort(-probability.max(axis=0), kind="stable") if s not in rows]
    rows |= {species: f"{names[species]} (not there)" for species in absent[:MAX_FALSE_ROWS]}
    return draw_recording(
        read_audio(truth.paths[row], sample_rate_hz=grid.sample_rate_hz),
        grid.sample_rate_hz,
        probability[:, list(rows)],
        grid.frame_s,
        rows,
        calls,
        title=f"{truth.recording_ids[row]}: every call (boxes), and what {system} hears (frame probabilities, raw)",
        box_name="true calls",
    )
