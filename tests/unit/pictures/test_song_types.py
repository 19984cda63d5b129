import numpy as np

from rfcx_ssl.pictures.song_types import contact_sheet, two_voices
from rfcx_ssl.synth import SynthSettings
from rfcx_ssl.synth.repertoire import SONG_TYPES


def test_two_voices_differ():
    samples = two_voices(SONG_TYPES[3], SynthSettings(), np.random.default_rng(0))
    half = len(samples) // 2
    assert not np.allclose(samples[: half - 100], samples[-half + 100 :], atol=0.5)


def test_the_contact_sheet_is_a_png_and_nothing_else_is_left(tmp_path):
    contact_sheet(tmp_path / "sheet.png", SynthSettings(), SONG_TYPES[:3])
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
