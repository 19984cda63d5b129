"""The stretch of a long recording that is worth a picture."""

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.pictures.events import busiest_start, rows_to_show


def event(start_s, end_s, score, species=0):
    return Detection("r", f"s{species}", score, Event(species, 1, start_s, end_s, *UNKNOWN_BAND_HZ, True, 1.0))


def test_the_busiest_stretch():
    events = [event(5, 6, 0.9), event(500, 504, 0.5), event(510, 514, 0.6), event(900, 901, 0.99)]
    assert busiest_start(events, 1000.0, 60.0) == 499.0
    assert busiest_start(events[-1:], 930.0, 60.0) == 870.0  # not beyond the end


def test_short_or_quiet_recordings_are_drawn_from_the_start():
    assert busiest_start([event(30, 40, 0.9)], 50.0, 60.0) == 0.0
    assert busiest_start([], 500.0, 60.0) == 0.0


def test_rows_are_the_surest_species_first():
    assert rows_to_show([event(0, 1, 0.5, 7), event(1, 2, 0.9, 3), event(2, 3, 0.7, 7)]) == [3, 7]
    assert len(rows_to_show([event(0, 1, 0.5, species) for species in range(20)])) == 12
    assert rows_to_show([]) == []
