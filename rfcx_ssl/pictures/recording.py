"""One picture of a recording: spectrogram with boxes, and the frame probabilities of its species below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.files import atomic_path

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

FLOOR_DB = 75.0  # what lies this far below the loudest cell is black
PALETTE = (
    "#4cc9f0",
    "#f72585",
    "#ffd166",
    "#06d6a0",
    "#ff9f1c",
    "#c77dff",
    "#90be6d",
    "#ff6b6b",
    "#e9ecef",
    "#00b4d8",
)


@dataclass(frozen=True, slots=True)
class Box:
    """A call in time (seconds from the start of the recording) and frequency; ``species`` names its row below."""

    start_s: float
    end_s: float
    f_min_hz: float
    f_max_hz: float
    species: str


def spectrogram_db(
    waveform: NDArray[np.float32], sample_rate_hz: int, max_columns: int = 1600
) -> tuple[NDArray[np.float32], float]:
    """Power spectrogram (F, T) in dB below its maximum, and the seconds per column.

    Hann windows of 32 ms; the hop is at least 8 ms and as long as it takes to stay within ``max_columns``.
    """
    size = max(256, 2 ** round(np.log2(0.032 * sample_rate_hz)))
    hop = max(size // 4, -(-len(waveform) // max_columns))
    padded = np.pad(waveform, (size // 2, size))
    starts = np.arange(0, max(len(waveform), 1), hop)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[starts]
    power = np.abs(np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)).T.astype(np.float32) ** 2
    decibel = 10 * np.log10(np.maximum(power, 1e-12))
    return decibel - decibel.max(), hop / sample_rate_hz


def draw_recording(  # everything on the picture is an argument
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    probability: NDArray[Any],
    frame_s: float,
    species: Sequence[str],
    boxes: Sequence[Box],
    *,
    title: str,
    start_s: float = 0.0,
    box_name: str = "calls",
) -> Figure:
    """Draw ``waveform`` (N,), frame ``probability`` (T, len(species)) and ``boxes``, all beginning at ``start_s``.

    ``species`` are the rows of the lower panel; each has one colour in both panels. Boxes of other species are drawn
    in white.
    """
    from matplotlib.figure import Figure

    end_s = start_s + len(waveform) / sample_rate_hz
    figure = Figure(figsize=(12, 4.6 + 0.3 * len(species)), layout="constrained", dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4.2, max(0.3 * len(species), 0.6)))
    colours = {name: PALETTE[i % len(PALETTE)] for i, name in enumerate(species)}
    decibel, _ = spectrogram_db(waveform, sample_rate_hz)
    upper.imshow(
        decibel,
        origin="lower",
        aspect="auto",
        extent=(start_s, end_s, 0, sample_rate_hz / 2000),
        cmap="gray",
        vmin=max(float(np.quantile(decibel, 0.05)), -FLOOR_DB),
        vmax=float(np.quantile(decibel, 0.999)),
    )
    for box in boxes:
        _draw_box(upper, box, colours.get(box.species, "white"), sample_rate_hz)
    upper.set(ylabel="kHz", ylim=(0, sample_rate_hz / 2000), title=title)
    image = _draw_probability(lower, probability, frame_s, start_s, species, colours)
    figure.colorbar(image, ax=[upper, lower], label="probability", pad=0.01, fraction=0.02)
    for box in boxes:
        if box.species in colours:
            row = list(species).index(box.species)
            _rectangle(lower, (box.start_s, row - 0.42), box.end_s - box.start_s, 0.84, colours[box.species], 1.4)
    lower.set(xlim=(start_s, end_s), xlabel=f"seconds (outlines: {box_name})")
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` as PNG, atomically."""
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_box(axes: Axes, box: Box, colour: str, sample_rate_hz: int) -> None:
    nyquist_khz = sample_rate_hz / 2000
    low, high = box.f_min_hz / 1000, min(box.f_max_hz / 1000, nyquist_khz)
    _rectangle(axes, (box.start_s, low), box.end_s - box.start_s, high - low, colour, 1.2)


def _rectangle(axes: Axes, corner: tuple[float, float], width: float, height: float, colour: str, line: float) -> None:
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=line))


def _draw_probability(
    axes: Axes,
    probability: NDArray[Any],
    frame_s: float,
    start_s: float,
    species: Sequence[str],
    colours: dict[str, str],
) -> AxesImage:
    """The heat map of (T, rows) probabilities with one labelled row per species."""
    image = axes.imshow(
        probability.T if probability.shape[1] else np.zeros((1, max(len(probability), 1))),
        aspect="auto",
        interpolation="nearest",
        extent=(start_s, start_s + len(probability) * frame_s, max(len(species), 1) - 0.5, -0.5),
        cmap="inferno",
        vmin=0.0,
        vmax=1.0,
    )
    axes.set_yticks(range(len(species)), species, fontsize=8)
    for label, name in zip(axes.get_yticklabels(), species, strict=True):
        label.set_bbox({"facecolor": colours[name], "edgecolor": "none", "pad": 1.5, "alpha": 0.75})
    return image
