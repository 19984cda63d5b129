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


def to_detections(
    found: list[FrameEvent], recording: str, grid: FrameGrid, species: SpeciesTable, num_samples: int
) -> list[Detection]:
    """Frames to milliseconds, columns to species; nothing without length, nothing beyond the ``num_samples`` of the recording."""
    last_ms = num_samples * 1000 // grid.sample_rate_hz
    detections = []
    for event in sorted(found, key=lambda event: (event.start, event.species)):
        start_ms, end_ms = (
            round(frame * grid.hop_samples * 1000 / grid.sample_rate_hz) for frame in (event.start, event.end)
        )
        end_ms = min(end_ms, last_ms)
        if start_ms < end_ms:
            band_hz = species.band_hz(event.species) or UNKNOWN_BAND_HZ
            song = species.first_songtype(event.species)  # several outputs make one species: which it was is not said
            box = Event(event.species, song, start_ms / 1000, end_ms / 1000, *band_hz, True, 1.0)
            detections.append(Detection(recording, species.names[event.species], event.score, box))
    return detections
