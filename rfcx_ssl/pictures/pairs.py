"""Before and after, side by side: spectrograms with a strip of three-state labels under each."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels import Batch
from rfcx_ssl.pictures.palette import add_state_legend
from rfcx_ssl.pictures.panels import draw_labels, save_figure
from rfcx_ssl.pictures.spectrogram import contrast, draw_spectrogram, spectrogram_db
from rfcx_ssl.species.space import LabelSpace

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_OUTPUTS = 8  # rows of a label strip
COLUMNS = 800  # of a spectrogram


def draw_pairs(
    path: Path, title: str, names: list[str], before: Batch, after: Batch, grid: FrameGrid, space: LabelSpace
) -> None:
    """Draw one row per crop: before on the left, after on the right, on one scale of loudness."""
    from matplotlib.figure import Figure

    shown = [outputs_to_show(before, after, crop) for crop in range(len(names))]
    heights = [height for outputs in shown for height in (2.6, 0.3 + 0.16 * len(outputs))]  # inches
    figure = Figure(figsize=(14, sum(heights) + 0.4 * len(names) + 0.8), layout="constrained", dpi=80)
    axes = figure.subplots(2 * len(names), 2, squeeze=False, sharex=True, height_ratios=heights)
    rate, seconds = grid.sample_rate_hz, before.waveform.shape[1] / grid.sample_rate_hz
    for crop, name in enumerate(names):
        pictures = [
            spectrogram_db(batch.waveform[crop].numpy(), rate, max_columns=COLUMNS)[0] for batch in (before, after)
        ]
        for column, (batch, picture) in enumerate(zip((before, after), pictures, strict=True)):
            upper, lower = axes[2 * crop, column], axes[2 * crop + 1, column]
            draw_spectrogram(upper, picture, rate, seconds, limits_db=contrast(*pictures))
            upper.set_title(f"{name}: {title if column else 'before'}", fontsize=9)
            _draw_strip(lower, batch, crop, shown[crop], grid, space)
    for bottom in axes[-1]:
        bottom.set_xlabel("seconds; right of the line: the label of the whole crop")
    add_state_legend(figure)
    save_figure(figure, path)


def outputs_to_show(before: Batch, after: Batch, crop: int) -> list[int]:
    """Outputs that are present somewhere, then those that are known somewhere, at most MAX_OUTPUTS."""
    present = (before.target[crop] >= 0.5).sum(0) + (after.target[crop] >= 0.5).sum(0)
    known = (before.known[crop] > 0).sum(0) + (after.known[crop] > 0).sum(0)
    order = torch.argsort(present * 1_000_000 + known, descending=True, stable=True)
    chosen = [int(output) for output in order[:MAX_OUTPUTS] if present[output] + known[output] > 0]
    return sorted(chosen) or [0]


def _draw_strip(axes: "Axes", batch: Batch, crop: int, shown: list[int], grid: FrameGrid, space: LabelSpace) -> None:
    """Frame labels, and right of a line the labels of the whole crop."""
    names, length_s = [space.output_names[output] for output in shown], batch.target.shape[1] * grid.frame_s
    line_s, end_s = 1.01 * length_s, 1.05 * length_s
    clip = (batch.clip_target[crop][None, shown].numpy(), batch.clip_known[crop][None, shown].numpy())
    draw_labels(axes, *clip, names, (line_s, end_s))
    draw_labels(
        axes, batch.target[crop][:, shown].numpy(), batch.known[crop][:, shown].numpy(), names, (0.0, length_s)
    )
    axes.axvline(line_s, color="black", linewidth=1)
    axes.set_xlim(0.0, end_s)
