"""One picture of a recording: spectrogram with boxes, and the frame probabilities of its species below."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event
from rfcx_ssl.pictures.palette import SPECIES
from rfcx_ssl.pictures.panels import draw_box, draw_probability, outline
from rfcx_ssl.pictures.spectrogram import draw_spectrogram, spectrogram_db

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER_SPECIES = "white"


def draw_recording(
    waveform: NDArray[np.float32],
    sample_rate_hz: int,
    probability: NDArray[Any],
    frame_s: float,
    rows: Mapping[int, str],
    boxes: Sequence[Event],
    *,
    title: str,
    start_s: float = 0.0,
    box_name: str = "calls",
) -> "Figure":
    """Draw ``waveform`` (N,), frame ``probability`` (T, len(rows)) and ``boxes``, all beginning at ``start_s``.

    ``rows`` are the rows of the lower panel, in order: species and its name. Each species has one color in both
    panels, behind its name; boxes of other species are white.
    """
    from matplotlib.figure import Figure

    end_s = start_s + len(waveform) / sample_rate_hz
    figure = Figure(figsize=(12, 4.6 + 0.3 * len(rows)), layout="constrained", dpi=110)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(4.2, max(0.3 * len(rows), 0.6)))
    colors = {species: SPECIES[place % len(SPECIES)] for place, species in enumerate(rows)}
    decibel, _ = spectrogram_db(waveform, sample_rate_hz)
    draw_spectrogram(upper, decibel, sample_rate_hz, end_s - start_s, start_s=start_s)
    upper.set_title(title)
    span_s = (start_s, start_s + len(probability) * frame_s)
    image = draw_probability(lower, probability, list(rows.values()), span_s)
    figure.colorbar(image, ax=[upper, lower], label="probability", pad=0.01, fraction=0.02)
    for text, color in zip(lower.get_yticklabels(), colors.values(), strict=True):
        text.set_bbox({"facecolor": color, "edgecolor": "none", "pad": 1.5})
    order = list(rows)
    for box in boxes:
        color = colors.get(box.species_id, OTHER_SPECIES)
        draw_box(upper, box, color, top_hz=sample_rate_hz / 2)
        if box.species_id in colors:
            row = order.index(box.species_id)
            outline(lower, (box.start_s, row - 0.42), box.duration_s, 0.84, color)
    lower.set(xlim=(start_s, end_s), xlabel=f"seconds (outlines: {box_name}, in the color behind the species' name)")
    return figure
