import numpy as np
import pytest

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.result import Result


@pytest.fixture
def result_of():
    """Makes a result; events are (species, start_s, end_s, score)."""

    def make(recording="site/a", events=(), **changes):
        found = [
            Detection(recording, name, score, Event(0, 1, start_s, end_s, *UNKNOWN_BAND_HZ, True, 1.0))
            for name, start_s, end_s, score in events
        ]
        values = {
            "index": 0, "recording": recording, "path": f"/card/{recording}.wav", "start_s": 0.0, "heard_s": 60.0,
            "sample_rate_hz": 48_000, "recorded_at": None, "problem": None, "warnings": (),
            "clip": np.array([0.9, 0.25], np.float32), "events": found,
        }  # fmt: skip
        return Result(**{**values, **changes})

    return make
