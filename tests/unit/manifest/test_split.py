import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.split import group_position


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_positions_are_uniform_and_fixed(seed):
    positions = [group_position(f"recording r{number}", seed) for number in range(400)]
    assert positions == [group_position(f"recording r{number}", seed) for number in range(400)]
    for limit in (0.1, 0.5, 0.9):  # six standard deviations of a binomial share of 400
        assert abs(sum(p < limit for p in positions) / 400 - limit) < 6 * (limit * (1 - limit) / 400) ** 0.5


def test_the_hash_never_changes():
    """Another value would move recordings between train and valid of every existing manifest."""
    assert group_position("recording train/0a4e7e350.flac", 0) == 0.6181749894188776


@pytest.mark.parametrize("group_by", ["site", "recorder", "recording"])
def test_no_group_is_on_both_sides(recordings, tmp_path, build, segments_of, group_by):
    report = build(tmp_path / "out", recordings, split={"group_by": group_by, "valid_fraction": 0.3})
    sides = {}
    for row in segments_of(tmp_path / "out"):
        sides.setdefault(row["group"], set()).add(row["split"])
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) == report.split.groups == (3 if group_by == "site" else 12)
    assert report.split.valid_segments >= 8


def test_auto_takes_the_widest_level_that_divides_and_stays_with_it(tmp_path, make_noise, build):
    root, out = tmp_path / "audio", tmp_path / "out"
    for day in range(1, 9):
        make_noise(root / f"RIDGE_202103{day:02d}_050000.wav", 6, seed=day)
    assert build(out, root).split.group_by == "recording"  # one site cannot be divided
    make_noise(root / "CREEK_20210301_050000.wav", 6, seed=50)
    assert build(out, root).split.group_by == "recording"
    assert build(tmp_path / "fresh", root).split.group_by == "site"


@pytest.mark.parametrize("multiple", [1, 8, 16])
def test_valid_fills_a_batch_and_leaves_train_one(recordings, tmp_path, build, multiple):
    settings = {"valid_fraction": 1e-9, "group_by": "recording", "batch_multiple": multiple}
    report = build(tmp_path / "out", recordings, split=settings)
    assert report.split.valid_segments >= multiple
    assert report.split.train_segments >= multiple
    assert report.split.joined
    assert report.warnings == ()


def test_what_cannot_be_batched_is_said_with_the_way_out(tmp_path, make_noise, build):
    root = tmp_path / "audio"
    make_noise(root / "a.wav", 6, seed=1)
    make_noise(root / "b.wav", 6, seed=2)
    (warning,) = build(tmp_path / "out", root).warnings
    assert "valid has 0 segments; fairseq stops with 'dataset is empty' below 8" in warning
    assert "shorten segment_s" in warning
    assert build(tmp_path / "short", root, segment_s=0.5, flags={"short_s": 0.1}).warnings == ()


def test_the_same_audio_on_both_sides_stops_the_build(tmp_path, make_noise, build):
    root = tmp_path / "audio"
    for number in range(8):
        make_noise(root / f"{number}.wav", 6, seed=3)  # eight names of one recording
    keep_all = {"flags": {"drop": ["short", "silent"]}}
    with pytest.raises(ManifestError, match="hold the same audio, one is in train and one in valid"):
        build(tmp_path / "out", root, split={"valid_fraction": 0.5}, **keep_all)
    assert build(tmp_path / "fine", root).statuses["duplicate"] == 21
