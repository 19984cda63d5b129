import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import stft

from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Note, active_power, render, stretch


def peak_frequency_hz(samples, start_s, length_s=0.1):
    part = samples[round(start_s * SAMPLE_RATE_HZ) :][: round(length_s * SAMPLE_RATE_HZ)]
    power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
    return np.fft.rfftfreq(len(part), 1 / SAMPLE_RATE_HZ)[power.argmax()]


def test_a_steady_note_has_the_frequency_of_its_place_in_the_band():
    call = render([Note(0.0, 0.5, (0.25, 0.25))], 2000.0, 4000.0, 0.0, np.random.default_rng(0))
    assert peak_frequency_hz(call.samples, 0.2) == pytest.approx(2500.0, abs=10.0)
    assert (call.f_min_hz, call.f_max_hz) == pytest.approx((2500.0, 2500.0))


def test_a_gliding_note_follows_its_path():
    call = render([Note(0.0, 1.0, (0.2, 0.3, 0.8))], 1000.0, 2000.0, 0.0, np.random.default_rng(0))
    frequencies, times, spectrum = stft(call.samples, SAMPLE_RATE_HZ, nperseg=4096)
    ridge = frequencies[np.abs(spectrum).argmax(axis=0)]
    inner = (times > 0.1) & (times < 0.9)
    expected = np.polyval(np.polyfit([0, 0.5, 1], [1200.0, 1300.0, 1800.0], 2), times)
    assert np.abs(ridge - expected)[inner].max() < 20.0


def test_pitch_moves_the_call_and_stays_inside_the_band():
    high = render([Note(0.0, 0.3, (0.95, 0.95))], 1000.0, 2000.0, 0.2, np.random.default_rng(0))
    assert high.f_max_hz == pytest.approx(1980.0)


def test_harmonics_above_the_band_are_left_out():
    stack = Note(0.0, 0.3, (0.1, 0.1), harmonics=(1.0, 1.0, 1.0, 1.0))
    call = render([stack], 500.0, 2000.0, 0.0, np.random.default_rng(0))
    assert call.f_max_hz == pytest.approx(3 * 650.0)
    power = np.abs(np.fft.rfft(call.samples, 2**15)) ** 2
    frequencies = np.fft.rfftfreq(2**15, 1 / SAMPLE_RATE_HZ)
    assert power[frequencies > 2000.0].sum() < 1e-4 * power.sum()


def test_tremolo_is_heard_at_its_rate():
    call = render(
        [Note(0.0, 1.0, (0.5, 0.5), am_hz=30.0, am_depth=1.0)], 1000.0, 2000.0, 0.0, np.random.default_rng(0)
    )
    loudness = np.square(call.samples)[:48_000]
    spectrum = np.abs(np.fft.rfft(loudness - loudness.mean()))
    frequencies = np.fft.rfftfreq(len(loudness), 1 / SAMPLE_RATE_HZ)
    audible = (frequencies > 10) & (frequencies < 200)
    assert frequencies[audible][spectrum[audible].argmax()] == pytest.approx(30.0, abs=1.5)


def test_active_power_ignores_pauses():
    tone = np.sin(np.arange(4800) * 0.3).astype(np.float32)
    with_pause = np.concatenate([tone, np.zeros(48_000, np.float32)])
    assert active_power(with_pause) == pytest.approx(active_power(tone), rel=1e-3)
    assert active_power(tone) == pytest.approx(0.5, rel=1e-2)


def test_stretch_changes_times_only():
    note = Note(1.0, 0.5, (0.2, 0.4), am_hz=30.0)
    assert stretch([note], 2.0) == [Note(2.0, 1.0, (0.2, 0.4), am_hz=30.0)]


@settings(deadline=None, max_examples=25)
@given(
    path=st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=4),
    start_s=st.floats(-1.0, 1.0),
    length_s=st.floats(0.001, 0.6),
    rough=st.floats(0.0, 0.3),
    fm_depth=st.floats(0.0, 0.3),
)
def test_any_note_renders_to_unit_power_within_its_band(path, start_s, length_s, rough, fm_depth):
    note = Note(start_s, length_s, tuple(path), rough=rough, fm_hz=20.0, fm_depth=fm_depth, harmonics=(1.0, 0.5))
    call = render([note, Note(0.5, 0.1, (0.5, 0.5))], 3000.0, 5000.0, 0.0, np.random.default_rng(1))
    assert np.isfinite(call.samples).all()
    assert active_power(call.samples) == pytest.approx(1.0, rel=1e-3)
    assert 3000.0 <= call.f_min_hz <= call.f_max_hz <= 5000.0
