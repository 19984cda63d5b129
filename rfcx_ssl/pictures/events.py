"""The picture of what was heard in one recording."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.hear import Ear, Heard
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.pictures.recording import draw_recording

MOST_ROWS = 12
QUIET_ROWS = 3  # rows of a picture without events: the species that score highest


def save_event_picture(heard: Heard, ear: Ear, path: Path) -> None:
    """Draw the stretch of a recording with the most event probability, at most ``picture_s`` long, as PNG.

    The result holds its frames.
    """
    result = heard.result
    grid, names = ear.ensemble.grid, ear.ensemble.species.names
    rate, hop = grid.sample_rate_hz, grid.hop_samples
    length_s = min(ear.settings.picture_s, result.heard_s)
    busiest_s = busiest_start(result.events, result.heard_s, length_s, origin_s=result.start_s)
    first = int((busiest_s - result.start_s) * rate) // hop  # frame
    start_s, length = result.start_s + first * grid.frame_s, int(length_s * rate)
    begin = round(result.start_s * rate) + first * hop
    samples = read_audio(
        heard.audio,
        start_samples=begin,
        num_samples=length,
        sample_rate_hz=rate,
        channel=heard.channel,
        partial=True,
    )
    frame = result.arrays["frames"][first : first + grid.num_frames(length)].astype(np.float32)
    shown = [e for e in result.events if e.box.end_s > start_s and e.box.start_s < start_s + length_s]
    rows = rows_to_show(shown) or frame.max(axis=0).argsort()[::-1][:QUIET_ROWS].tolist()
    figure = draw_recording(
        samples,
        rate,
        frame[:, rows],
        grid.frame_s,
        {species: names[species] for species in rows},
        [event.box for event in shown],
        title=f"{result.recording}: {len(shown)} events of {len({e.species for e in shown})} species",
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


def busiest_start(events: Sequence[Detection], duration_s: float, length_s: float, *, origin_s: float = 0.0) -> float:
    """Start of the ``length_s`` seconds with the highest sum of scores times seconds, of the ``duration_s`` from
    ``origin_s`` on; ``origin_s`` where all fits or is quiet.
    """
    if duration_s <= length_s or not events:
        return origin_s
    latest = origin_s + duration_s - length_s
    candidates = sorted({min(max(event.box.start_s - 1.0, origin_s), latest) for event in events})

    def weight(start_s: float) -> float:
        overlaps = (min(e.box.end_s, start_s + length_s) - max(e.box.start_s, start_s) for e in events)
        return sum(max(overlap, 0.0) * e.score for overlap, e in zip(overlaps, events, strict=True))

    return max(candidates[:: max(1, len(candidates) // 200)], key=weight)
