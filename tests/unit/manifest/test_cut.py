import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rfcx_ssl.manifest.cut import recording_folder, segment_bounds, segment_name, source_edges


@given(total=st.integers(0, 10**10), max_samples=st.integers(10**4, 10**7))
def test_pieces_cover_a_recording_once_and_are_equal(total, max_samples):
    total = min(total, max_samples * 500)
    bounds = segment_bounds(total, max_samples)
    position = 0
    for start, length in bounds:
        assert start == position
        assert 1 <= length <= max_samples
        position += length
    assert position == total
    assert len(bounds) == -(-total // max_samples)
    if bounds:
        lengths = {length for _, length in bounds}
        assert max(lengths) - min(lengths) <= 1


@pytest.mark.parametrize("total,max_samples", [(-1, 5), (5, 0)])
def test_impossible_cuts_are_refused(total, max_samples):
    with pytest.raises(ValueError, match="total_samples >= 0"):
        segment_bounds(total, max_samples)


@given(frames=st.integers(1, 10**7), source=st.integers(8_000, 500_000), target=st.sampled_from((16_000, 32_000)))
def test_source_edges_follow_the_bounds_and_end_with_the_recording(frames, source, target):
    total = (2 * frames * target + source) // (2 * source)
    bounds = segment_bounds(total, 15 * target)
    edges = source_edges(bounds, source, target, frames)
    assert edges == sorted(edges)
    assert len(edges) == len(bounds)
    if bounds:
        assert edges[-1] == frames
        for edge, (start, length) in zip(edges[:-1], bounds[:-1], strict=True):
            assert abs(edge / source - (start + length) / target) <= 1 / source


@given(recording_id=st.text(min_size=1).filter(lambda text: text.isprintable()))
def test_segment_names_are_safe_in_a_tsv_on_any_disk(recording_id):
    assert re.fullmatch(r"[0-9a-f]{2}/[A-Za-z0-9_-]+-[0-9a-f]{16}/00012\.flac", segment_name(recording_id, 12))


def test_recordings_of_one_name_in_two_folders_stay_apart():
    assert recording_folder("a/20210301_050000.WAV") != recording_folder("b/20210301_050000.WAV")
    assert recording_folder("a/x.wav") != recording_folder("a/x.flac")
