"""The colors of every picture, chosen to be told apart by color-blind eyes too.

Present, absent and the rest are from Okabe and Ito's set (orange, sky blue), species from Paul Tol's "light" set, which
is made for black text on it and shows on a dark spectrogram; probabilities and loudness rise from black to bright.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PRESENT, ABSENT, UNKNOWN = "#e69f00", "#56b4e9", "#e6e6e6"
STATES = {"present": PRESENT, "absent": ABSENT, "unknown": UNKNOWN}
PROBABILITY = "inferno"  # color map of [0, 1]
LOUDNESS = "gray"  # color map of spectrograms: dark, so that colored boxes stand out
SPECIES = ("#77aadd", "#ee8866", "#eedd88", "#ffaabb", "#99ddff", "#44bb99", "#bbcc33", "#aaaa00", "#dddddd")
SYSTEMS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#666666")  # bars and lines on white
SYSTEMS_ON_DARK = (
    "#56b4e9",
    "#f0894b",
    "#2fc39a",
    "#e3a3c6",
    "#a9dcf7",
    "#f3c14b",
    "#a9a9a9",
)  # the same on a dark page


def rgb(color: str) -> NDArray[np.float32]:
    """``#rrggbb`` -> (3,) in [0, 1]."""
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return np.array(parts, np.float32)


def label_colors(target: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """Labels (T, K) -> picture (K, T, 3): from unknown to present or absent by the weight, between them by the target."""
    chance, weight = target.T[..., None], known.T[..., None]
    stated = chance * rgb(PRESENT) + (1 - chance) * rgb(ABSENT)
    colors = weight * stated + (1 - weight) * rgb(UNKNOWN)
    return colors.astype(np.float32)


def add_state_legend(figure: "Figure", note: str = "") -> None:
    """Say below the figure what the three colors of labels mean, and ``note``."""
    from matplotlib.patches import Patch

    patches = [Patch(facecolor=color, edgecolor="#999999", label=name) for name, color in STATES.items()]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, frameon=False, title=note or None)
