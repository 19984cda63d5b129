"""The picture of what was heard in one recording."""

from collections.abc import Sequence
from pathlib import Path

import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.detection.stream import Heard
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.inference.windows import windows_in_force
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.pictures.recording import draw_recording

MOST_ROWS = 12
QUIET_ROWS = 3  # rows of a picture without events: the species that score highest


def save_event_picture(
    model: RainforestSedModel, recording: Recording, heard: Heard, settings: DetectSettings, path: Path
) -> None:
    """Draw the stretch of a recording with the most event probability, at most ``picture_s`` long, as PNG."""
    rate, grid, names = model.config.sample_rate_hz, model.grid, model.space.species_names
    length_s = min(settings.picture_s, heard.heard_s)
    _, hop = windows_in_force(model, settings).on_grid(grid)
    start = int(busiest_start(heard.events, heard.heard_s, length_s) * rate) // hop * hop  # windows as when heard
    length = int(length_s * rate)
    samples = read_audio(recording.path, start_samples=start, num_samples=length, sample_rate_hz=rate, partial=True)
    frame = predict_recording(model, torch.from_numpy(samples), settings).frame.numpy()
    start_s = start / rate
    shown = [e for e in heard.events if e.box.end_s > start_s and e.box.start_s < start_s + length_s]
    rows = rows_to_show(shown) or frame.max(axis=0).argsort()[::-1][:QUIET_ROWS].tolist()
    figure = draw_recording(
        samples,
        rate,
        frame[:, rows],
        grid.frame_s,
        {species: names[species] for species in rows},
        [event.box for event in shown],
        title=f"{recording.name}: {len(shown)} events of {len({e.species for e in shown})} species",
        start_s=start_s,
        box_name="events",
    )
    save_figure(figure, path)


def rows_to_show(events: Sequence[Detection]) -> list[int]:
    """Species of ``events``, the highest score first, at most MOST_ROWS."""
    peak: dict[int, float] = {}
    for event in events:
        peak[event.box.species_id] = max(event.score, peak.get(event.box.species_id, 0.0))
    return sorted(peak, key=lambda species: (-peak[species], species))[:MOST_ROWS]


def busiest_start(events: Sequence[Detection], duration_s: float, length_s: float) -> float:
    """Start of the ``length_s`` seconds with the highest sum of scores times seconds; 0 where all fits or is quiet."""
    if duration_s <= length_s or not events:
        return 0.0
    latest = duration_s - length_s
    candidates = sorted({min(max(event.box.start_s - 1.0, 0.0), latest) for event in events})

    def weight(start_s: float) -> float:
        overlaps = (min(e.box.end_s, start_s + length_s) - max(e.box.start_s, start_s) for e in events)
        return sum(max(overlap, 0.0) * e.score for overlap, e in zip(overlaps, events, strict=True))

    return max(candidates[:: max(1, len(candidates) // 200)], key=weight)
