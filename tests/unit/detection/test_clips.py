"""Clips are what the recording holds there, at its own rate; their names never leave the folder."""

import csv

import numpy as np
import pytest
import soundfile

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Event
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.clips import ClipSettings, clips_of, save_clips
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers import open_tables

RATE_HZ = 22_050


def result_of(recording, events, start_s=0.0, heard_s=20.0):
    found = [
        Detection(recording, name, score, Event(0, 1, start, end, *UNKNOWN_BAND_HZ, True, 1.0))
        for name, start, end, score in events
    ]
    clip = np.zeros(1, np.float32)
    return Result(0, recording, "x.wav", start_s, heard_s, RATE_HZ, None, None, (), clip, found)


@pytest.fixture
def audio(tmp_path):
    samples = np.random.default_rng(0).integers(-3000, 3000, 20 * RATE_HZ).astype(np.int16)
    soundfile.write(tmp_path / "x.wav", samples, RATE_HZ)
    return samples


def test_the_surest_of_each_species(tmp_path, audio):
    events = [("Rana", 1.0, 2.0, 0.6), ("Rana", 5.0, 6.0, 0.9), ("Rana", 8.0, 9.0, 0.6), ("Bufo", 19.0, 19.8, 0.3)]
    result = result_of("site/a", events)
    settings = ClipSettings(clips_per_species=2, clip_margin_s=0.5)
    assert save_clips(result, tmp_path / "x.wav", tmp_path, settings) == []
    cut = {
        "clips/Rana/site/a_1.000s.flac": (0.5, 2.5),
        "clips/Rana/site/a_5.000s.flac": (4.5, 6.5),
        "clips/Bufo/site/a_19.000s.flac": (18.5, 20.0),
    }
    assert {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.flac")} == set(cut)
    for file, (start_s, end_s) in cut.items():
        samples, rate = soundfile.read(tmp_path / file, dtype="int16")
        assert rate == RATE_HZ
        np.testing.assert_array_equal(samples, audio[round(start_s * RATE_HZ) : round(end_s * RATE_HZ)])
    (tmp_path / "clips/Bufo/site/a_19.000s.flac").unlink()
    for writer in open_tables(
        tmp_path, ("Rana",), formats=(), window_s=5.0, frame_s=0.01, saves=("clips",), clips=settings
    ):
        with writer:
            writer.add(result)
    with (tmp_path / "clips.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["file"], row["score"], row["clip_start_s"], row["clip_end_s"]) for row in rows] == [
        ("clips/Rana/site/a_1.000s.flac", "0.6000", "0.500", "2.500"),
        ("clips/Rana/site/a_5.000s.flac", "0.9000", "4.500", "6.500"),
    ], "only clips that are there"


def test_long_events_are_cut_and_no_clip_leaves_what_was_heard():
    result = result_of("a", [("Rana", 3.0, 19.0, 0.9), ("Bufo", 2.1, 2.5, 0.5)], start_s=2.0, heard_s=17.5)
    clips = clips_of(result, ClipSettings(longest_clip_s=10.0))
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(2.0, 3.5), (2.0, 12.0)]


@pytest.mark.parametrize("species", ["../../up", "/etc", "a/b", "nul", "x\0y", "ü" * 300, "鳥 🐦", ".."])
@pytest.mark.parametrize("recording", ["../../up", "/etc/passwd", "con", "a\nb", "b" * 300])
def test_no_name_leaves_the_folder(tmp_path, audio, species, recording):
    out = tmp_path / "deep" / "out"
    assert save_clips(result_of(recording, [(species, 1.0, 1.1, 0.5)]), tmp_path / "x.wav", out, ClipSettings()) == []
    (path,) = tmp_path.rglob("*.flac")
    assert out / "clips" in path.parents
    assert len(path.relative_to(out / "clips").parts) >= 2


def test_what_cannot_be_cut_is_said(tmp_path):
    (tmp_path / "x.wav").write_bytes(b"no audio")
    result = result_of("a", [("Rana", 1.0, 2.0, 0.5)])
    (problem,) = save_clips(result, tmp_path / "x.wav", tmp_path, ClipSettings())
    assert "x.wav: cannot be read as audio" in problem
    assert save_clips(result_of("a", []), tmp_path / "x.wav", tmp_path, ClipSettings()) == []


@pytest.mark.parametrize("key,value", [("clips_per_species", 0), ("clip_margin_s", -1.0), ("longest_clip_s", 0.5)])
def test_settings_without_a_meaning(key, value):
    with pytest.raises(ValueError, match=f"{key}={value}"):
        ClipSettings(**{key: value})
