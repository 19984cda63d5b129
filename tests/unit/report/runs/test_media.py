"""Sounds and pictures of a page: what goes in comes out, and a full page says so."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from PIL import Image

from rfcx_ssl.pictures.image import COLUMNS, probability_png, spectrogram_jpeg
from rfcx_ssl.report.runs.media import LOUDEST, Room, encode_clip, player, player_of_file


def tone(rate_hz, hz=1000.0, seconds=1.0, loud=0.01):
    return (loud * np.sin(2 * np.pi * hz * np.arange(round(seconds * rate_hz)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize(("rate_hz", "kind", "exact"), [(32_000, "audio/mpeg", 0.02), (96_000, "audio/flac", 1e-4)])
def test_a_clip_is_the_sound_made_loud(rate_hz, kind, exact):
    found, content = encode_clip(tone(rate_hz), rate_hz)
    samples, rate = soundfile.read(io.BytesIO(content))
    assert (found, rate) == (kind, rate_hz)
    np.testing.assert_allclose(
        samples[2000:-4000], 90 * tone(rate_hz)[2000 : len(samples) - 4000], atol=LOUDEST * exact
    )


def test_silence_stays_silent():
    samples, _ = soundfile.read(io.BytesIO(encode_clip(np.zeros(8000, np.float32), 8000)[1]))
    assert not samples.any()


def test_a_full_room_takes_nothing_and_counts():
    room = Room(5)
    assert [room.take("äa"), room.take("abc"), room.take("ab"), room.take("a")] == ["äa", "", "ab", ""]
    assert (room.left_bytes, room.left_out) == (0, 2)


def test_a_file_outside_its_folder_is_not_played(tmp_path):
    (tmp_path / "in").mkdir()
    for path in (tmp_path / "out.flac", tmp_path / "in" / "a.flac"):
        soundfile.write(path, tone(8000), 8000)
    assert player_of_file(tmp_path / "in", "a.flac", "x") == player(
        soundfile.read(tmp_path / "in/a.flac", dtype="float32")[0], 8000, "x"
    )
    assert "lies outside" in player_of_file(tmp_path / "in", "../out.flac", "x")
    assert "No player" in player_of_file(tmp_path / "in", "gone.flac", "x")


def test_a_label_cannot_leave_its_attribute():
    (label,) = re.findall(r"aria-label='([^']*)'", player(tone(8000), 8000, "a' onplay='x"))
    assert label == "a&#x27; onplay=&#x27;x"


def test_a_tone_is_bright_at_its_height():
    rate_hz = 16_000
    picture = np.asarray(Image.open(io.BytesIO(spectrogram_jpeg(tone(rate_hz, 2000, 2.0), rate_hz))))
    row = picture.mean(axis=1).argmax()
    assert row / len(picture) == pytest.approx(1 - 2000 / (rate_hz / 2), abs=0.02)


def test_a_strip_has_the_colors_of_its_frames_and_keeps_peaks():
    from matplotlib import colormaps

    values = np.array([0.0, 0.5, 1.0])
    pixels = np.asarray(Image.open(io.BytesIO(probability_png(values))))
    np.testing.assert_array_equal(pixels[0], colormaps["inferno"](values, bytes=True)[:, :3])
    long = np.zeros(3 * COLUMNS + 1)
    long[1234] = 1.0
    pixels = np.asarray(Image.open(io.BytesIO(probability_png(long))))
    assert (
        pixels.shape[1] == COLUMNS and (pixels[0] == colormaps["inferno"](1.0, bytes=True)[:3]).all(axis=1).sum() == 1
    )
    assert base64.b64encode(probability_png(values)).startswith(b"iVBOR")
