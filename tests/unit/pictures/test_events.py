"""The stretch of a long recording that is worth a picture."""

from rfcx_ssl.inference.stream import Event
from rfcx_ssl.pictures.events import busiest_start


def event(start_s, end_s, score):
    return Event("r", start_s, end_s, "s", score, None, None)


def test_the_busiest_stretch():
    events = [event(5, 6, 0.9), event(500, 504, 0.5), event(510, 514, 0.6), event(900, 901, 0.99)]
    assert busiest_start(events, 1000.0, 60.0) == 499.0
    assert busiest_start(events[-1:], 930.0, 60.0) == 870.0  # not beyond the end


def test_short_or_quiet_recordings_are_drawn_from_the_start():
    assert busiest_start([event(30, 40, 0.9)], 50.0, 60.0) == 0.0
    assert busiest_start([], 500.0, 60.0) == 0.0
