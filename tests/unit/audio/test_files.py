import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from rfcx_ssl.audio import audio_info, read_audio, resampled_samples, to_int16, write_flac, write_wav
from rfcx_ssl.errors import AudioError

TARGET_HZ = 32_000


def noise(frames, channels=1, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels)).astype(np.float32)


def difference_db(actual, expected, reference):
    return 20 * np.log10(np.abs(actual - expected).max() / np.sqrt(np.mean(reference**2)) + 1e-12)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """One stereo recording per sample rate, and its whole downmixed and resampled signal."""
    folder = tmp_path_factory.mktemp("rates")
    found = {}
    for rate in (8_000, 22_051, 32_000, 44_100, 48_000, 250_000):
        path = folder / f"{rate}.wav"
        soundfile.write(path, noise(rate + 77, 2, rate), rate, subtype="PCM_16")
        mono = soundfile.read(path, dtype="float32")[0].mean(axis=1)
        found[rate] = path, mono if rate == TARGET_HZ else soxr.resample(mono, rate, TARGET_HZ)
    return found


@settings(max_examples=60, deadline=None)
@given(data=st.data(), rate=st.sampled_from((8_000, 22_051, 32_000, 44_100, 48_000, 250_000)))
def test_a_crop_is_the_slice_of_the_whole_resampled_file(recordings, data, rate):
    path, whole = recordings[rate]
    start = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(1, len(whole)))
    crop = read_audio(path, start_samples=start, num_samples=length, sample_rate_hz=TARGET_HZ)
    expected = np.pad(whole, (0, length))[start : start + length]
    assert crop.shape == (length,)
    assert crop.dtype == np.float32
    assert difference_db(crop, expected, whole) < -100


def test_reading_to_the_end_gives_the_whole_file(recordings):
    for rate, (path, whole) in recordings.items():
        assert len(whole) == resampled_samples(audio_info(path).frames, rate, TARGET_HZ)
        np.testing.assert_array_equal(read_audio(path, sample_rate_hz=TARGET_HZ), whole)


@pytest.mark.parametrize(
    "container,subtype", [("WAV", "ALAW"), ("WAV", "PCM_U8"), ("WAV", "FLOAT"), ("OGG", "VORBIS")]
)
def test_other_encodings_are_read(tmp_path, container, subtype):
    path = tmp_path / "recording"
    soundfile.write(path, noise(9_000), 24_000, format=container, subtype=subtype)
    expected = soundfile.read(path, dtype="float32")[0]
    np.testing.assert_allclose(read_audio(path, start_samples=100), expected[100:], atol=1e-6)
    assert audio_info(path).subtype == subtype


def test_downmix_averages_and_a_channel_can_be_chosen(tmp_path):
    samples = noise(1_000, 3)
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    np.testing.assert_allclose(read_audio(tmp_path / "a.wav"), samples.mean(axis=1), atol=1e-7)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav", channel=2), samples[:, 2])
    with pytest.raises(AudioError, match="no channel 3, the file has 3"):
        read_audio(tmp_path / "a.wav", channel=3)


def test_sixteen_bit_audio_survives_writing(tmp_path):
    pcm = np.array([-32768, -32767, -1, 0, 1, 2, 32766, 32767] * 600, dtype=np.int16)
    write_flac(tmp_path / "a.flac", pcm.astype(np.float32) / 32768, 48_000)
    np.testing.assert_array_equal(soundfile.read(tmp_path / "a.flac", dtype="int16")[0], pcm)
    assert audio_info(tmp_path / "a.flac").subtype == "PCM_16"
    assert [path.name for path in tmp_path.iterdir()] == ["a.flac"]


def test_values_beyond_full_scale_are_clipped_not_wrapped():
    np.testing.assert_array_equal(to_int16(np.array([1.5, -1.5, 1.0], dtype=np.float32)), [32767, -32768, 32767])


@pytest.mark.parametrize(
    "content,message",
    [(b"", "cannot be read as audio"), (b"these are words\n" * 99, "Format not recognised"), (None, "No such file")],
)
def test_unreadable_files_are_named(tmp_path, content, message):
    path = tmp_path / "bad.flac"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AudioError, match=message) as caught:
        read_audio(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nan_truncation_wrong_rate_and_late_starts_are_errors(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.array([0.0, np.nan, 0.1] * 99, dtype=np.float32), 48_000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        read_audio(path)
    write_flac(tmp_path / "b.flac", noise(90_000)[:, 0], 48_000)
    with pytest.raises(AudioError, match="sample rate is 48000 Hz, the manifest says 32000 Hz"):
        read_audio(tmp_path / "b.flac", source_hz=32_000)
    with pytest.raises(AudioError, match="starts at sample 60000, the file has 60000 at 32000 Hz"):
        read_audio(tmp_path / "b.flac", start_samples=60_000, sample_rate_hz=32_000)
    whole = (tmp_path / "b.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(AudioError, match=r"b\.flac"):
        read_audio(tmp_path / "b.flac")


def test_negative_crops_are_refused(tmp_path):
    with pytest.raises(ValueError, match="start_samples >= 0"):
        read_audio(tmp_path / "a.wav", start_samples=-1)


def test_pieces_of_a_wav_lie_in_a_row(tmp_path):
    pcm = np.random.default_rng(1).integers(-32768, 32767, 5_000, dtype=np.int16)
    sound = pcm.astype(np.float32) / 32768
    write_wav(tmp_path / "a.wav", (sound[:1_000], sound[1_000:1_000], sound[1_000:]), 44_100)
    read, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 44_100 and np.array_equal(read, pcm)


def test_a_wav_that_cannot_be_finished_is_not_there(tmp_path):
    def pieces():
        yield np.zeros(10, np.float32)
        raise AudioError("gone")

    with pytest.raises(AudioError, match="gone"):
        write_wav(tmp_path / "a.wav", pieces(), 44_100)
    with pytest.raises(AudioError, match="cannot write"):
        write_wav(tmp_path / "no" / "a.wav", [], 44_100)
    assert not list(tmp_path.iterdir())
