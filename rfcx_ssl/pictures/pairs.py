"""Before and after, side by side: spectrograms with a strip of three-state labels under each."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.files import atomic_path
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.species import LabelSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float32]

PRESENT_RGB, ABSENT_RGB, UNKNOWN_RGB = (0.85, 0.33, 0.10), (0.20, 0.45, 0.70), (0.93, 0.93, 0.93)
WINDOW_SAMPLES = 1024
MAX_OUTPUTS = 8  # rows of a label strip


def draw_pairs(
    path: Path, title: str, names: list[str], before: Batch, after: Batch, grid: FrameGrid, space: LabelSpace
) -> None:
    """Draw one row per clip: before on the left, after on the right, on one colour scale."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 3.2 * len(names) + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 * len(names), 2, squeeze=False, sharex=True, height_ratios=[3, 1] * len(names))
    for clip, name in enumerate(names):
        shown = outputs_to_show(before, after, clip)
        pictures = [spectrogram_db(batch.waveform[clip]) for batch in (before, after)]
        top = max(float(picture.max()) for picture in pictures)
        for column, (batch, picture) in enumerate(zip((before, after), pictures, strict=True)):
            heading = f"{name}: {'before' if column == 0 else title}"
            _draw_spectrogram(axes[2 * clip, column], picture, top, heading, batch.waveform.shape[1], grid)
            _draw_labels(axes[2 * clip + 1, column], batch, clip, shown, grid, space)
    axes[-1, 0].set_xlabel("time in s; labels: orange present, blue absent, grey unknown; right of the line: the clip")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=80)


def spectrogram_db(waveform: Tensor) -> FloatArray:
    """(N,) -> (F, M) power in dB."""
    window = torch.hann_window(WINDOW_SAMPLES)
    spectrum = torch.stft(waveform, WINDOW_SAMPLES, WINDOW_SAMPLES // 4, window=window, return_complex=True)
    decibel: FloatArray = (20 * torch.log10(spectrum.abs().clamp(min=1e-6))).numpy()
    return decibel


def outputs_to_show(before: Batch, after: Batch, clip: int) -> list[int]:
    """Outputs that are present somewhere, then those that are known somewhere, at most MAX_OUTPUTS."""
    present = (before.target[clip] >= 0.5).sum(0) + (after.target[clip] >= 0.5).sum(0)
    known = (before.known[clip] > 0).sum(0) + (after.known[clip] > 0).sum(0)
    order = torch.argsort(present * 1_000_000 + known, descending=True, stable=True)
    chosen = [int(output) for output in order[:MAX_OUTPUTS] if present[output] + known[output] > 0]
    return sorted(chosen) or [0]


def label_colours(target: Tensor, known: Tensor) -> FloatArray:
    """(T, K) labels -> (K, T, 3): from grey (unknown) to orange (present) or blue (absent) by the weight."""
    present, absent, unknown = (np.array(colour, np.float32) for colour in (PRESENT_RGB, ABSENT_RGB, UNKNOWN_RGB))
    chance, weight = target.T.numpy()[..., None], known.T.numpy()[..., None]
    colours = weight * (chance * present + (1 - chance) * absent) + (1 - weight) * unknown
    return colours.astype(np.float32)


def _draw_spectrogram(
    axes: "Axes", picture: FloatArray, top: float, heading: str, samples: int, grid: FrameGrid
) -> None:
    extent = (0.0, samples / grid.sample_rate_hz, 0.0, grid.sample_rate_hz / 2000)
    axes.imshow(picture, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=top - 80, vmax=top)
    axes.set_title(heading, fontsize=9)
    axes.set_ylabel("kHz")


def _draw_labels(axes: "Axes", batch: Batch, clip: int, shown: list[int], grid: FrameGrid, space: LabelSpace) -> None:
    frame = label_colours(batch.target[clip][:, shown], batch.known[clip][:, shown])
    whole = label_colours(batch.clip_target[clip][None, shown], batch.clip_known[clip][None, shown])
    length_s, gap_s = frame.shape[1] * grid.frame_s, 3 * grid.frame_s
    rows = (len(shown) - 0.5, -0.5)
    axes.imshow(frame, aspect="auto", extent=(0.0, length_s, *rows), interpolation="nearest")
    axes.imshow(whole, aspect="auto", extent=(length_s + gap_s, length_s * 1.05, *rows), interpolation="nearest")
    axes.axvline(length_s + gap_s / 2, color="black", linewidth=1)
    axes.set_xlim(0.0, length_s * 1.05)
    axes.set_yticks(range(len(shown)), [space.output_names[output] for output in shown], fontsize=7)
