"""A picture of one crop: its spectrogram with every box, and the three-state labels that a model is taught."""

from pathlib import Path
from typing import TYPE_CHECKING

from rfcx_ssl.data.crops import CropDataset
from rfcx_ssl.labels import Crop
from rfcx_ssl.pictures.palette import ABSENT, PRESENT, add_state_legend
from rfcx_ssl.pictures.panels import draw_box, draw_labels, save_figure
from rfcx_ssl.pictures.spectrogram import draw_spectrogram, spectrogram_db

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_crop(dataset: CropDataset, index: int, path: Path) -> None:
    """Draw item ``index`` of the data set's current epoch as PNG, written atomically."""
    from matplotlib.figure import Figure

    item = dataset[index]
    figure = Figure(figsize=(10, 8), layout="constrained", dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.1))
    _draw_boxes(upper, dataset, item, index)
    _draw_states(lower, dataset, item)
    add_state_legend(figure)
    save_figure(figure, path)


def crop_title(dataset: CropDataset, index: int) -> str:
    """Where item ``index`` of the current epoch comes from."""
    start_s = dataset.start_samples(index) / dataset.grid.sample_rate_hz
    event = dataset.anchor(index).event
    kind = "" if event is None else "a tag" if event.is_tag else "a present box" if event.present else "an absent box"
    around = kind or "a place at random"
    return f"{dataset.anchor(index).recording_id} from {start_s:.2f} s on, drawn around {around}"


def _draw_boxes(axes: "Axes", dataset: CropDataset, item: Crop, index: int) -> None:
    """The spectrogram with the parts of boxes that lie in the crop."""
    rate, start_s = dataset.grid.sample_rate_hz, dataset.start_samples(index) / dataset.grid.sample_rate_hz
    crop_s = len(item.waveform) / rate
    decibel, _ = spectrogram_db(item.waveform.numpy(), rate)
    draw_spectrogram(axes, decibel, rate, crop_s)
    axes.set_title(crop_title(dataset, index))
    for event in dataset.corpus.annotations.events(dataset.anchor(index).recording_id):
        inside = event._replace(start_s=max(0.0, event.start_s - start_s), end_s=min(crop_s, event.end_s - start_s))
        if inside.duration_s > 0:
            color = PRESENT if event.present else ABSENT
            draw_box(axes, inside, color, top_hz=rate / 2, text=f"s{event.species_id}")


def _draw_states(axes: "Axes", dataset: CropDataset, item: Crop) -> None:
    """One row per output, one cell per frame; a cell's opacity is its weight, a dot marks the clip label."""
    names, seconds = dataset.corpus.space.output_names, len(item.target) * dataset.grid.frame_s
    draw_labels(axes, item.target.numpy(), item.known.numpy(), names, (0.0, seconds))
    for row, (clip_target, clip_known) in enumerate(zip(item.clip_target, item.clip_known, strict=True)):
        if clip_known > 0:
            axes.plot(seconds * 1.01, row, "o", color=PRESENT if clip_target > 0.5 else ABSENT, clip_on=False)
    axes.set(xlabel="time in the crop (s); a dot on the right is the label of the whole crop", ylabel="output")
    axes.set_xlim(0, len(item.waveform) / dataset.grid.sample_rate_hz)
