import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.annotations import Event
from rfcx_ssl.frames import FrameGrid, seconds_to_samples
from rfcx_ssl.labels.intervals import edge_margin_s, majority_slice, share_inside

times_s = st.floats(-0.5, 1.5, allow_nan=False)


@settings(deadline=None, max_examples=300)
@given(times_s, st.floats(0, 1), st.integers(1, 60), st.integers(0, 30))
def test_majority_frames_are_those_with_half_of_their_samples_inside(start_s, length_s, hop, num_frames):
    grid = FrameGrid(200, hop)
    start, stop = seconds_to_samples(start_s, 200), seconds_to_samples(start_s + length_s, 200)
    inside = [sum(start <= n < stop for n in range(k * hop, (k + 1) * hop)) for k in range(num_frames)]
    chosen = np.zeros(num_frames, bool)
    chosen[majority_slice(grid, start_s, start_s + length_s, num_frames)] = True
    assert chosen.tolist() == [2 * count >= hop for count in inside]


def event(start_s, end_s):
    return Event(3, 1, start_s, end_s, 1000.0, 2000.0, True, 1.0)


@pytest.mark.parametrize(
    "start_s,end_s,crop,share",
    [
        (1.0, 2.0, (0.0, 5.0), 1.0),
        (1.0, 2.0, (1.5, 5.0), 0.5),
        (1.0, 2.0, (0.0, 1.25), 0.25),
        (1.0, 2.0, (2.0, 5.0), 0.0),
        (0.0, 8.0, (2.0, 4.0), 1.0),  # longer than the crop: the crop is filled
        (3.0, 11.0, (2.0, 4.0), 0.5),
    ],
)
def test_share_of_a_call_inside_a_crop(start_s, end_s, crop, share):
    assert share_inside(event(start_s, end_s), *crop) == pytest.approx(share)


def test_the_edge_margin_leaves_half_of_a_short_box():
    assert edge_margin_s(event(0.0, 4.0), 0.1) == 0.1
    assert edge_margin_s(event(0.0, 0.2), 0.1) == pytest.approx(0.05)
