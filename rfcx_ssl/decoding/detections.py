"""What was heard: an event with its species, its score and its place in a recording."""

from typing import NamedTuple

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.decoding.frame_events import FrameEvent
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.species.table import SpeciesTable


class Detection(NamedTuple):
    """One species heard in one recording: a label with a score.

    ``box.species_id`` is the species' column of the model; its band is the one the species is known to call in. Times
    are whole milliseconds, so that every table holds the same ones.
    """

    recording: str
    species: str
    score: float
    box: Event


def make_detection(
    recording: str, species: SpeciesTable, column: int, score: float, start_s: float, end_s: float
) -> Detection:
    """An event of the species in ``column`` of the table, with the band that it is known to call in."""
    band_hz = species.band_hz(column) or UNKNOWN_BAND_HZ
    song = species.first_songtype(column)  # several outputs make one species: which it was is not said
    return Detection(recording, species.names[column], score, Event(column, song, start_s, end_s, *band_hz, True, 1.0))


def to_detections(
    found: list[FrameEvent],
    recording: str,
    grid: FrameGrid,
    species: SpeciesTable,
    num_samples: int,
    *,
    offset_s: float = 0.0,
) -> list[Detection]:
    """Frames to milliseconds, columns to species, in order of time.

    Nothing is without length or beyond the ``num_samples`` that were heard; ``offset_s`` is where in the file they start.
    """
    last_ms, offset_ms = num_samples * 1000 // grid.sample_rate_hz, round(offset_s * 1000)
    detections = []
    for event in sorted(found, key=lambda event: (event.start, event.species)):
        start_ms, end_ms = (
            round(frame * grid.hop_samples * 1000 / grid.sample_rate_hz) for frame in (event.start, event.end)
        )
        end_ms = min(end_ms, last_ms)
        if start_ms < end_ms:
            times_s = ((offset_ms + start_ms) / 1000, (offset_ms + end_ms) / 1000)
            detections.append(make_detection(recording, species, event.species, event.score, *times_s))
    return detections
