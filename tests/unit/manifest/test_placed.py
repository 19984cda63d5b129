"""What is placed stays in place: adding recordings, copies among them, never moves audio between train and valid."""

import shutil

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rfcx_ssl.errors import ManifestError

EVEN = {"split": {"valid_fraction": 0.5}}


def sides_of(rows):
    """Side of each audio that is used."""
    return {row["audio_hash"]: row["split"] for row in rows if row["split"]}


@pytest.fixture
def growing(tmp_path, make_noise):
    """Sixteen recordings of 2 s, each of its own group."""
    root = tmp_path / "audio"
    for number in range(16):
        make_noise(root / f"m{number:02d}.wav", 2, seed=number)
    return root


def test_a_copy_with_an_earlier_name_moves_no_audio(growing, tmp_path, build, segments_of):
    out = tmp_path / "out"
    build(out, growing, **EVEN)
    before = sides_of(segments_of(out))
    assert set(before.values()) == {"train", "valid"}
    for number in range(16):
        shutil.copy(growing / f"m{number:02d}.wav", growing / f"a{number:02d}.wav")
    report = build(out, growing, **EVEN)
    rows = segments_of(out)
    assert sides_of(rows) == before and report.statuses["duplicate"] == 16
    new = {row["recording_id"]: row["group"] for row in rows if row["recording_id"].startswith("audio/a")}
    assert len(new) == 16 and not any(row["split"] for row in rows if row["recording_id"] in new)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.lists(st.tuples(st.integers(0, 9), st.sampled_from("AFMZ"), st.integers(0, 3)), max_size=4), max_size=3
    ),
    group_by=st.sampled_from(["recording", "site"]),
)
def test_whatever_is_added_in_whatever_order(tmp_path_factory, make_noise, build, segments_of, steps, group_by):
    """Each step adds recordings of any of ten sounds, under any name, at any of four sites; then all are touched."""
    root, out = tmp_path_factory.mktemp("grow") / "audio", tmp_path_factory.mktemp("out")
    options = {"split": {"valid_fraction": 0.5, "group_by": group_by, "batch_multiple": 1}}
    for number in range(6):
        make_noise(root / f"S{number % 3}-K{number}_20210301_050000.wav", 1, seed=number)
    build(out, root, **options)
    known = sides_of(segments_of(out))
    for step, additions in enumerate([*steps, []]):
        for place, (sound, letter, site) in enumerate(additions):
            make_noise(root / f"S{site}-{letter}{step}{place}_20210301_050000.wav", 1, seed=sound)
        if step == len(steps):
            for path in root.iterdir():
                path.touch()
        build(out, root, **options)
        now = sides_of(segments_of(out))
        assert {audio: now.get(audio) for audio in known} == known
        known = now


def test_a_folder_that_grew_is_built_again_alike_without_its_state(growing, tmp_path, build, read_folder):
    out = tmp_path / "out"
    fewer = {"split": {"valid_fraction": 1e-9}}  # so that groups have to join valid
    build(out, growing, **fewer)
    for number in range(16, 40):
        path = growing / f"b{number}.wav"
        soundfile.write(path, np.random.default_rng(number).normal(0, 0.1, 16_000).clip(-1, 1), 8_000)
    shutil.copy(growing / "m00.wav", growing / "a00.wav")
    shutil.copy(growing / "m01.wav", growing / "a01.wav")
    build(out, growing, **fewer)
    grown = read_folder(out)
    shutil.rmtree(out / ".state")
    report = build(out, growing, **fewer)
    assert report.prepared == 42 and read_folder(out) == grown
    (out / "segments.parquet").write_bytes(b"damaged")
    (out / "manifest.json").write_text('{"kind": "prepared"}')
    shutil.rmtree(out / ".state")
    with pytest.raises(ManifestError, match=r"manifest\.json: not the manifest\.json of a manifest folder"):
        build(out, growing, **fewer)  # nothing moves because a file is damaged
    (out / "manifest.json").unlink()
    build(out, growing, **fewer)  # decides anew
    assert read_folder(out) != grown


def test_the_automatic_grouping_outlives_the_state(tmp_path, make_noise, build):
    root, out = tmp_path / "audio", tmp_path / "out"
    for day in range(1, 9):
        make_noise(root / f"RIDGE_202103{day:02d}_050000.wav", 6, seed=day)
    assert build(out, root).split.group_by == "recording"
    make_noise(root / "CREEK_20210301_050000.wav", 6, seed=50)
    shutil.rmtree(out / ".state")
    assert build(out, root).split.group_by == "recording"


def test_the_copy_that_is_left_takes_over(growing, tmp_path, build, segments_of):
    out = tmp_path / "out"
    build(out, growing, **EVEN)
    shutil.move(growing / "m03.wav", growing / "a03.wav")
    build(out, growing, **EVEN)
    (row,) = [row for row in segments_of(out) if row["recording_id"] == "audio/a03.wav"]
    assert row["split"] and row["status"] == "ok"


def test_copies_kept_on_purpose_still_stop_the_build_on_both_sides(growing, tmp_path, build):
    keep_all = {**EVEN, "flags": {"drop": ["short", "silent"]}}
    build(tmp_path / "out", growing, **keep_all)
    for number in range(16):
        shutil.copy(growing / f"m{number:02d}.wav", growing / f"a{number:02d}.wav")
    with pytest.raises(ManifestError, match="hold the same audio"):
        build(tmp_path / "out", growing, **keep_all)
