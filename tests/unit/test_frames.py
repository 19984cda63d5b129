"""Frame arithmetic against a slow definition."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.frames import FrameGrid, seconds_to_samples


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 1000), st.integers(1, 97), st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 40))
def test_frame_slice_is_the_set_of_touched_frames(rate, hop, first, length, total):
    grid = FrameGrid(rate, hop)
    start_s, end_s = first / rate, (first + length) / rate
    touched = [k for k in range(total) if first < (k + 1) * hop and k * hop < first + length]
    found = list(range(total))[grid.frame_slice(start_s, end_s, total)]
    if length == 0:  # an empty span touches no sample, but may name the frame it stands in
        assert len(found) <= 1
    else:
        assert found == touched


def test_num_frames_counts_a_partial_hop():
    assert [FrameGrid(32000, 640).num_frames(n) for n in (0, 1, 640, 641)] == [0, 1, 1, 2]


def test_seconds_are_rounded_not_cut():
    assert seconds_to_samples(0.29, 100) == 29  # int(0.29 * 100) is 28


@pytest.mark.parametrize(("rate", "hop"), [(32_000, 0), (0, 640), (-1, 640), (32_000, -1)])
def test_a_grid_without_samples_is_refused(rate, hop):
    with pytest.raises(ValueError, match=f"got .*sample_rate_hz={rate}, hop_samples={hop}"):
        FrameGrid(rate, hop)


def test_the_smallest_grid_is_one():
    grid = FrameGrid(1, 1)
    assert grid.frame_s == 1.0
    assert grid.frame_slice(2.0, 4.0, 9) == slice(2, 4)
