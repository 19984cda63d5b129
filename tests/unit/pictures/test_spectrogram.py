"""Spectrogram values against scipy, and how they are drawn."""

import numpy as np
import pytest
from scipy.signal import stft

from rfcx_ssl.pictures.spectrogram import contrast, draw_spectrogram, spectrogram_db


@pytest.mark.parametrize("window_s", [0.032, 0.016])
def test_spectrogram_equals_scipys(window_s):
    waveform = np.random.default_rng(0).normal(size=32_000).astype(np.float32)
    decibel, column_s = spectrogram_db(waveform, 32_000, window_s=window_s)
    size, hop = round(window_s * 32_000), round(column_s * 32_000)
    assert hop == size // 8
    window = np.hanning(size)
    _, _, expected = stft(waveform, nperseg=size, noverlap=size - hop, window=window, padded=True)
    reference = 20 * np.log10(np.abs(expected) * window.sum())
    columns = min(decibel.shape[1], reference.shape[1]) - 8  # the ends are padded differently
    np.testing.assert_allclose(decibel[:, 8:columns], reference[:, 8:columns], atol=0.1)


def test_a_tone_is_the_brightest_row():
    tone = np.sin(2 * np.pi * 1_000 * np.arange(8_000) / 8_000).astype(np.float32)
    decibel, column_s = spectrogram_db(tone, 8_000)
    assert decibel.shape[0] == 129 and column_s == 0.004
    assert set(decibel[:, 8:-8].argmax(axis=0)) == {1_000 * 256 // 8_000}


def test_long_recordings_have_a_bounded_number_of_columns():
    decibel, column_s = spectrogram_db(np.zeros(1_000_000, dtype=np.float32), 32_000, max_columns=500)
    assert 450 <= decibel.shape[1] <= 500 and decibel.shape[1] * column_s >= 1_000_000 / 32_000
    assert spectrogram_db(np.zeros(1, dtype=np.float32), 32_000)[0].shape[1] == 1


def test_pictures_side_by_side_share_their_contrast():
    from matplotlib.figure import Figure

    quiet, loud = np.full((4, 5), -90.0, np.float32), np.full((4, 5), -10.0, np.float32)
    low, high = contrast(quiet, loud)
    assert high == pytest.approx(-10.0) and low == pytest.approx(-85.0), "no more than 75 dB below the loudest"
    assert contrast(quiet) == (-90.0, -89.0), "silence has a scale, too"
    axes = Figure().subplots()
    draw_spectrogram(axes, loud, 8_000, 2.0, start_s=3.0, limits_db=(low, high))
    assert axes.images[0].get_clim() == (low, high) and axes.images[0].get_extent() == [3.0, 5.0, 0, 4.0]
