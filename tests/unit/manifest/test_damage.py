"""Damage to what a manifest folder remembers, and files that are none, change no manifest and end no build."""

import os
import struct

import numpy as np
import pytest

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.metadata import add_seconds, parse_audiomoth, parse_guano, parse_wamd


def test_a_state_with_random_damage_gives_the_same_manifests(tmp_path, recordings, build, read_folder):
    out = tmp_path / "out"
    build(out, recordings)
    expected = read_folder(out)
    path = out / ".state/state.sqlite"
    rng = np.random.default_rng(0)
    for round_ in range(4):
        data = bytearray(path.read_bytes())
        for place in rng.integers(0, len(data), 1 + 20 * (round_ % 2)).tolist():
            data[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        if round_ % 2:
            (out / ".state/state.sha256").unlink()  # as a killed build leaves it
        build(out, recordings)
        assert read_folder(out) == expected


def test_a_build_ends_with_a_look_at_what_it_made(tmp_path, recordings, build):
    out = tmp_path / "out"
    build(out, recordings)
    segment = next((out / "audio").rglob("*.flac"))
    segment.unlink()
    with pytest.raises(ManifestError, match=rf"1 problems after the build, first .*{segment.name}"):
        build(out, recordings)


def test_pipes_and_devices_are_no_recordings(tmp_path, recordings, build):
    os.mkfifo(recordings / "pipe.wav")
    (recordings / "zero.wav").symlink_to("/dev/zero")
    assert build(tmp_path / "out", recordings).quarantined == 2
    assert (tmp_path / "out/quarantine.csv").read_text().count("is not a regular file") == 2


@pytest.mark.parametrize(
    "comment",
    [
        "Recorded at 05:00:00 01/03/2021 (UTC+99) by AudioMoth 24F319055FDF2F5B",
        f"Recorded at 05:00:00 01/03/2021 (UTC+{'9' * 5000}) by AudioMoth 24F319055FDF2F5B",
        "Recorded at 23:59:59 31/12/9999 (UTC) by AudioMoth 24F319055FDF2F5B",
    ],
)
def test_impossible_clocks_are_not_known(comment):
    assert parse_audiomoth(comment).start_time is None
    assert parse_audiomoth(comment).recorder == "24F319055FDF2F5B"


def test_impossible_times_elsewhere():
    assert parse_guano("Timestamp: 9999-12-31T23:59:59\nSerial: a\x00b").start_time is None
    assert parse_guano("Serial: a\x00b").recorder == "a%00b"
    assert parse_wamd(struct.pack("<HI", 5, 2**32 - 1) + b"9999-12-31").start_time is None
    assert add_seconds("9999-12-31T23:59:59", 60) is None
    assert add_seconds("2021-03-01T00:00:00", 1e15) is None


def test_a_recording_of_the_year_9999_is_prepared_without_a_clock(tmp_path, recordings, build, segments_of):
    first = next(iter(sorted(recordings.iterdir())))
    first.rename(recordings / "SITE0_99991231_235959.wav")
    build(tmp_path / "out", recordings)
    assert None in {row["start_time"] for row in segments_of(tmp_path / "out") if "9999" in row["recording_id"]}
