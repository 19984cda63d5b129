"""Spectrogram values against scipy, and where things are drawn."""

import numpy as np
from scipy.signal import get_window, stft

from rfcx_ssl.pictures.recording import Box, draw_recording, save_figure, spectrogram_db


def test_spectrogram_equals_scipys():
    waveform = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    decibel, column_s = spectrogram_db(waveform, 32_000)
    hop = round(column_s * 32_000)
    window = np.hanning(1024)
    assert get_window("hann", 1024, fftbins=False).shape == window.shape
    _, _, expected = stft(waveform, nperseg=1024, noverlap=1024 - hop, window=window, scaling="psd", padded=True)
    power = np.abs(expected) ** 2
    reference = 10 * np.log10(power / power.max())
    columns = min(decibel.shape[1], reference.shape[1]) - 2
    np.testing.assert_allclose(decibel[:, 1:columns], reference[:, 1:columns], atol=0.1)


def test_long_recordings_have_a_bounded_number_of_columns():
    decibel, column_s = spectrogram_db(np.zeros(1_000_000, dtype=np.float32), 32_000, max_columns=500)
    assert 450 <= decibel.shape[1] <= 500 and decibel.shape[1] * column_s >= 1_000_000 / 32_000
    assert spectrogram_db(np.zeros(1, dtype=np.float32), 32_000)[0].shape[1] == 1


def test_boxes_and_rows_are_where_they_belong(tmp_path):
    boxes = [Box(11.0, 12.0, 1000, 2000, "a"), Box(12.5, 12.6, 3000, 9000, "elsewhere")]
    figure = draw_recording(
        np.zeros(32_000, dtype=np.float32),
        8_000,
        np.linspace(0, 1, 80).reshape(40, 2),
        0.1,
        ["a", "b"],
        boxes,
        title="T",
        start_s=10.0,
    )
    upper, lower, _ = figure.axes
    assert upper.get_xlim() == (10.0, 14.0) and upper.get_ylim() == (0, 4.0)
    corners = [(p.get_x(), p.get_y(), p.get_width(), p.get_height()) for p in upper.patches]
    assert corners == [(11.0, 1.0, 1.0, 1.0), (12.5, 3.0, np.float64(12.6) - 12.5, 1.0)]  # cut at 4 kHz, half the rate
    assert len(lower.patches) == 1  # only a row of its own is outlined
    np.testing.assert_array_equal(lower.images[0].get_array()[0], np.linspace(0, 1, 80).reshape(40, 2)[:, 0])
    save_figure(figure, tmp_path / "p.png")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
