"""Figures of comparisons and evaluations that are pictures: bars per species, one recording."""

from __future__ import annotations

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
