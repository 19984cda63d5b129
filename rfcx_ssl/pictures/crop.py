"""A picture of one crop: its spectrogram with every box, and the three-state labels that a model is taught."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import spectrogram

from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.files import atomic_path
from rfcx_ssl.labels import Crop

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PRESENT, ABSENT, UNKNOWN = "#1a9850", "#d6604d", "#e6e6e6"
WINDOW_SAMPLES = 1024


def draw_crop(dataset: CropDataset, index: int, path: Path) -> None:
    """Draw item ``index`` of the data set's current epoch as PNG, written atomically."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    anchor, item = dataset.anchor(index), dataset[index]
    figure = Figure(figsize=(10, 8), layout="constrained", dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
    _draw_spectrogram(upper, dataset, item, index)
    _draw_states(lower, dataset, item)
    start_s = dataset.start_samples(index) / dataset.grid.sample_rate_hz
    around = (
        "a place at random" if anchor.event is None else "a present box" if anchor.event.present else "an absent box"
    )
    upper.set_title(f"{anchor.recording_id} from {start_s:.2f} s on, drawn around {around}")
    names = (("present", PRESENT), ("absent", ABSENT), ("unknown", UNKNOWN))
    figure.legend(
        handles=[Patch(color=color, label=name) for name, color in names], loc="outside lower center", ncols=3
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png")


def _draw_spectrogram(axes: "Axes", dataset: CropDataset, item: Crop, index: int) -> None:
    from matplotlib.patches import Rectangle

    rate, start_s = dataset.grid.sample_rate_hz, dataset.start_samples(index) / dataset.grid.sample_rate_hz
    frequencies, times, power = spectrogram(item.waveform.numpy(), rate, nperseg=WINDOW_SAMPLES)
    decibel = 10 * np.log10(power + 1e-12)
    low, high = np.percentile(decibel, [40, 99.9])
    axes.pcolormesh(times, frequencies / 1000, decibel, vmin=low, vmax=high, cmap="gray_r", rasterized=True)
    crop_s = len(item.waveform) / rate
    for event in dataset.corpus.annotations.events(dataset.anchor(index).recording_id):
        left, right = max(0.0, event.start_s - start_s), min(crop_s, event.end_s - start_s)
        if left < right:
            color = PRESENT if event.present else ABSENT
            corner, height = (left, event.low_hz / 1000), (event.high_hz - event.low_hz) / 1000
            axes.add_patch(Rectangle(corner, right - left, height, fill=False, edgecolor=color, linewidth=2))
            axes.text(
                left, event.high_hz / 1000, f"s{event.species_id}", color=color, va="bottom", weight="bold",
                bbox={"color": "white", "alpha": 0.8, "pad": 1},
            )  # fmt: skip
    axes.set(ylabel="frequency (kHz)", ylim=(0, rate / 2000))


def _draw_states(axes: "Axes", dataset: CropDataset, item: Crop) -> None:
    """One row per output, one cell per frame; a cell's opacity is its weight, a dot marks the clip label."""
    from matplotlib.colors import to_rgb

    target, known = item.target.numpy()[..., None], item.known.numpy()[..., None]
    told = target * np.array(to_rgb(PRESENT)) + (1 - target) * np.array(to_rgb(ABSENT))
    image = known * told + (1 - known) * np.array(to_rgb(UNKNOWN))
    names, seconds = dataset.corpus.space.output_names, len(target) * dataset.grid.frame_s
    axes.imshow(
        image.swapaxes(0, 1), aspect="auto", interpolation="nearest", extent=(0, seconds, len(names) - 0.5, -0.5)
    )
    for row, (clip_target, clip_known) in enumerate(zip(item.clip_target, item.clip_known, strict=True)):
        if clip_known > 0:
            axes.plot(seconds * 1.01, row, "o", color=PRESENT if clip_target > 0.5 else ABSENT, clip_on=False)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", axis="y", color="white")
    axes.tick_params(which="minor", length=0)
    axes.set(xlabel="time in the crop (s); a dot on the right is the label of the whole clip", ylabel="output")
    axes.set_xlim(0, len(item.waveform) / dataset.grid.sample_rate_hz)
