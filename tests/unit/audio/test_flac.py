from pathlib import Path

import numpy as np
import pytest
import soundfile

from rfcx_ssl.audio import write_flac
from rfcx_ssl.audio.flac import check_flac
from rfcx_ssl.errors import AudioError

REAL = Path(__file__).parents[4] / "shared/data/rfcx/train/0a4e7e350.flac"


@pytest.mark.parametrize("channels", [1, 2])
def test_what_was_written_is_what_was_encoded(tmp_path, channels):
    samples = np.random.default_rng(0).integers(-32768, 32767, (9_999, channels), dtype=np.int16)
    soundfile.write(tmp_path / "a.flac", samples, 48_000)
    check_flac(tmp_path / "a.flac")


def test_another_signal_or_format_is_found(tmp_path):
    write_flac(tmp_path / "a.flac", np.full(9_999, 0.1, dtype=np.float32), 48_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[26] ^= 255
    (tmp_path / "a.flac").write_bytes(data)
    with pytest.raises(AudioError, match="do not have the checksum"):
        check_flac(tmp_path / "a.flac")
    (tmp_path / "b.flac").write_bytes(b"fLaC")
    with pytest.raises(AudioError, match="is not a FLAC file"):
        check_flac(tmp_path / "b.flac")
    soundfile.write(tmp_path / "c.flac", np.zeros(99), 48_000, subtype="PCM_24")
    with pytest.raises(AudioError, match="only 16-bit"):
        check_flac(tmp_path / "c.flac")


@pytest.mark.skipif(not REAL.exists(), reason="the real recording is not here")
def test_the_real_recording_is_sound():
    check_flac(REAL)
