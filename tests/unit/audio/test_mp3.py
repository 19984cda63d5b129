import numpy as np
import pytest
import scipy.signal
import soundfile

from rfcx_ssl.audio import audio_info, read_audio, require_exact_time, write_flac
from rfcx_ssl.audio.mp3 import inspect_mp3
from rfcx_ssl.errors import AudioError


def band_noise(frames):
    band = scipy.signal.butter(4, [0.02, 0.3], "band", output="sos")
    return scipy.signal.sosfilt(band, np.random.default_rng(0).normal(0, 0.2, frames)).astype(np.float32)


def delay_samples(decoded, original):
    length = min(len(decoded), len(original))
    correlation = scipy.signal.correlate(decoded[:length], original[:length], "full", method="fft")
    return int(correlation.argmax()) - (length - 1)


def without_tag(path, target):
    """The same MP3 without its first frame, which is the Info frame."""
    data = path.read_bytes()
    target.write_bytes(data[data.index(data[:2], 100) :])
    return target


@pytest.fixture(scope="module")
def tagged(tmp_path_factory):
    path = tmp_path_factory.mktemp("mp3") / "a.mp3"
    original = band_noise(48_000 * 3 + 123)
    soundfile.write(path, original, 48_000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.2)
    return path, original


def test_a_tagged_mp3_has_no_delay_and_its_exact_length(tagged):
    path, original = tagged
    decoded = read_audio(path)
    assert len(decoded) == len(original) == audio_info(path).frames
    assert delay_samples(decoded, original) == 0
    np.testing.assert_allclose(
        read_audio(path, start_samples=77_777, num_samples=999), decoded[77_777:78_776], atol=1e-6
    )
    require_exact_time(path)


def test_without_a_tag_the_delay_is_there_and_labels_are_refused(tagged, tmp_path):
    path = without_tag(tagged[0], tmp_path / "a.mp3")
    stream = inspect_mp3(path)
    assert (stream.has_length_tag, stream.has_delay_tag) == (False, False)
    assert stream.samples % 1152 == 0
    assert stream.samples >= len(tagged[1])
    assert delay_samples(read_audio(path), tagged[1]) == 1105
    with pytest.raises(AudioError, match="an unknown time late"):
        require_exact_time(path)


def test_an_untagged_variable_bit_rate_is_refused_instead_of_cut_short(tmp_path):
    quiet_then_loud = band_noise(48_000 * 6) * np.linspace(1, 1e-4, 48_000 * 6, dtype=np.float32)
    soundfile.write(tmp_path / "vbr.mp3", quiet_then_loud, 48_000, format="MP3", bitrate_mode="VARIABLE")
    path = without_tag(tmp_path / "vbr.mp3", tmp_path / "bare.mp3")
    assert soundfile.info(path).frames < inspect_mp3(path).samples * 0.9  # the hazard is real
    with pytest.raises(AudioError, match="without a Xing/Info frame"):
        audio_info(path)


def test_id3_tags_are_skipped_and_other_formats_pass(tagged, tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + tagged[0].read_bytes())
    assert inspect_mp3(path).has_delay_tag
    (tmp_path / "empty.mp3").write_bytes(b"")
    assert inspect_mp3(tmp_path / "empty.mp3").samples == 0
    write_flac(tmp_path / "a.flac", tagged[1], 48_000)
    require_exact_time(tmp_path / "a.flac")


def test_the_content_decides_what_is_an_mp3(tagged, tmp_path):
    with pytest.raises(AudioError, match="named: MP3 without a LAME delay tag"):
        require_exact_time(without_tag(tagged[0], tmp_path / "named"))


def pieces_of(tagged):
    data = tagged[0].read_bytes()
    bare = data[data.index(data[:2], 100) :]
    tag = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    junk = np.random.default_rng(0).bytes(3000)
    return {
        "junk inside": bare[:20_000] + junk + bare[20_000:],
        "junk inside, tagged": data[:20_000] + junk + data[20_000:],
        "joined by a tag": bare + tag + bare,
        "joined, tagged": data + tag + data,
        "joined at once, tagged": data + data,
    }, {"tail": data + junk, "ID3v1": data + b"TAG" + bytes(125), "bare tail": bare + junk}


def test_what_would_be_read_in_part_is_refused(tagged, tmp_path):
    broken, whole = pieces_of(tagged)
    for data in broken.values():
        (tmp_path / "a.mp3").write_bytes(data)
        with pytest.raises(AudioError, match="convert it first"):
            audio_info(tmp_path / "a.mp3")
    for name, data in whole.items():
        (tmp_path / f"{name}.mp3").write_bytes(data)
        assert len(read_audio(tmp_path / f"{name}.mp3")) >= len(tagged[1]), name


@pytest.mark.parametrize("cut", range(0, 60, 3))
def test_a_header_that_ends_anywhere_is_no_traceback(tagged, tmp_path, cut):
    (tmp_path / "a.mp3").write_bytes(tagged[0].read_bytes()[:cut])
    inspect_mp3(tmp_path / "a.mp3")
