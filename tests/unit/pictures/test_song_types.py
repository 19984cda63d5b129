import numpy as np
import pytest

from rfcx_ssl.pictures.song_types import contact_sheet, spectrogram_db, two_voices
from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ
from rfcx_ssl.synth.repertoire import SONG_TYPES


def test_a_tone_is_the_brightest_row():
    tone = np.sin(2 * np.pi * 3000 / SAMPLE_RATE_HZ * np.arange(SAMPLE_RATE_HZ)).astype(np.float32)
    decibels = spectrogram_db(tone, 1024, 512)
    assert decibels.max() == pytest.approx(0.0, abs=1e-3)
    assert set(decibels.argmax(axis=0)) == {3000 * 1024 // SAMPLE_RATE_HZ}


def test_two_voices_differ():
    samples = two_voices(SONG_TYPES[3], SynthSettings(), np.random.default_rng(0))
    half = len(samples) // 2
    assert not np.allclose(samples[: half - 100], samples[-half + 100 :], atol=0.5)


def test_the_contact_sheet_is_a_png_and_nothing_else_is_left(tmp_path):
    contact_sheet(tmp_path / "sheet.png", SynthSettings(), SONG_TYPES[:3])
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
