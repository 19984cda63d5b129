"""What pictures are put together from, beside the spectrogram: boxes, rows of labels, rows of probabilities."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event
from rfcx_ssl.files import atomic_path
from rfcx_ssl.pictures.palette import PROBABILITY, label_colors

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


def draw_box(axes: "Axes", event: Event, color: str, *, top_hz: float, text: str = "") -> None:
    """Outline an event on a spectrogram that ends at ``top_hz``, with ``text`` at its upper left corner."""
    low_khz, high_khz = event.low_hz / 1000, min(event.high_hz, top_hz) / 1000
    outline(axes, (event.start_s, low_khz), event.duration_s, high_khz - low_khz, color)
    if text:
        box = {"facecolor": "black", "edgecolor": "none", "alpha": 0.6, "pad": 1}
        place = (event.start_s, high_khz)
        axes.text(*place, text, color=color, bbox=box, va="bottom", weight="bold", fontsize=9, clip_on=True)


def outline(axes: "Axes", corner: tuple[float, float], width: float, height: float, color: str) -> None:
    """An empty rectangle."""
    from matplotlib.patches import Rectangle

    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=1.5))


def draw_labels(
    axes: "Axes",
    target: NDArray[np.float32],
    known: NDArray[np.float32],
    names: Sequence[str],
    span_s: tuple[float, float],
) -> None:
    """Three-state labels (T, K) from ``span_s[0]`` to ``span_s[1]``, one row per name."""
    extent = (*span_s, len(names) - 0.5, -0.5)
    axes.imshow(label_colors(target, known), aspect="auto", interpolation="nearest", extent=extent)
    name_rows(axes, names)


def draw_probability(
    axes: "Axes", probability: NDArray[Any], names: Sequence[str], span_s: tuple[float, float]
) -> "AxesImage":
    """Probabilities (T, K) from ``span_s[0]`` to ``span_s[1]``, one row per name."""
    rows = probability.T if probability.shape[1] else np.zeros((1, max(len(probability), 1)))
    extent = (*span_s, max(len(names), 1) - 0.5, -0.5)
    image = axes.imshow(
        rows, aspect="auto", interpolation="nearest", extent=extent, cmap=PROBABILITY, vmin=0.0, vmax=1.0
    )
    name_rows(axes, names)
    return image


def name_rows(axes: "Axes", names: Sequence[str]) -> None:
    """Rows 0, 1, ... from the top, with thin lines between them."""
    axes.set_yticks(range(len(names)), names, fontsize=8 if len(names) <= 16 else 7)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", axis="y", color="white", linewidth=0.8)
    axes.tick_params(which="minor", length=0)


def save_figure(figure: "Figure", path: Path) -> None:
    """Write ``figure`` as PNG, atomically; its folder is made. Names in a script that the font lacks show as boxes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        draw_png(figure, temporary)


def draw_png(figure: "Figure", target: Path | BinaryIO) -> None:
    """``figure`` as PNG into a file; a name in a script that the font lacks is drawn as boxes, without a warning each.

    No text is mathematics: names of files and species may hold dollars and backslashes.
    """
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_parse_math(False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing", UserWarning)
        figure.savefig(target, format="png")
