"""The picture of what was heard in one recording."""

from collections.abc import Sequence
from pathlib import Path

import torch

from rfcx_ssl.audio import read_audio
from rfcx_ssl.inference.recordings import Recording
from rfcx_ssl.inference.settings import DetectSettings
from rfcx_ssl.inference.stream import Event, Heard
from rfcx_ssl.inference.windows import predict_recording
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.pictures.recording import Box, draw_recording, save_figure

MOST_ROWS = 12
QUIET_ROWS = 3  # rows of a picture without events: the species that score highest


def save_event_picture(
    model: RainforestSedModel, recording: Recording, heard: Heard, settings: DetectSettings, path: Path
) -> None:
    """Draw the stretch of a recording with the most event probability, at most ``picture_s`` long, as PNG."""
    rate, grid, names = model.config.sample_rate_hz, model.grid, model.space.species_names
    options = settings.window_options(rate, model.config.window_samples)
    length_s = min(settings.picture_s, heard.heard_s)
    hop = options["hop_samples"]
    start = (
        int(busiest_start(heard.events, heard.heard_s, length_s) * rate) // hop * hop
    )  # windows as when it was heard
    length = int(length_s * rate)
    samples = read_audio(recording.path, start_samples=start, num_samples=length, sample_rate_hz=rate, partial=True)
    frame = predict_recording(model, torch.from_numpy(samples), **options).frame.numpy()
    start_s = start / rate
    shown = [e for e in heard.events if e.end_s > start_s and e.start_s < start_s + length_s]
    peak = {name: max((e.score for e in shown if e.species == name), default=0.0) for name in names}
    rows = sorted((name for name in names if peak[name] > 0), key=lambda name: -peak[name])[:MOST_ROWS]
    if not rows:
        rows = [names[s] for s in frame.max(axis=0).argsort()[::-1][:QUIET_ROWS]]
    figure = draw_recording(
        samples,
        rate,
        frame[:, [names.index(name) for name in rows]],
        grid.frame_s,
        rows,
        [Box(e.start_s, e.end_s, e.f_min_hz or 0.0, e.f_max_hz or rate / 2, e.species) for e in shown],
        title=f"{recording.name}: {len(shown)} events of {len({e.species for e in shown})} species",
        start_s=start_s,
        box_name="events",
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save_figure(figure, path)


def busiest_start(events: Sequence[Event], duration_s: float, length_s: float) -> float:
    """Start of the ``length_s`` seconds with the highest sum of scores times seconds; 0 where all fits or is quiet."""
    if duration_s <= length_s or not events:
        return 0.0
    latest = duration_s - length_s
    candidates = sorted({min(max(event.start_s - 1.0, 0.0), latest) for event in events})

    def weight(start_s: float) -> float:
        overlaps = (min(e.end_s, start_s + length_s) - max(e.start_s, start_s) for e in events)
        return sum(max(overlap, 0.0) * e.score for overlap, e in zip(overlaps, events, strict=True))

    return max(candidates[:: max(1, len(candidates) // 200)], key=weight)
