"""The spectrogram of every picture: its numbers, and how they are drawn."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.pictures.palette import LOUDNESS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FloatArray = NDArray[np.float32]

RANGE_DB = 75.0  # what lies this far below the loudest cells is black


def spectrogram_db(
    waveform: FloatArray, sample_rate_hz: int, *, window_s: float = 0.032, max_columns: int = 1600
) -> tuple[FloatArray, float]:
    """Power spectrogram (F, T) of ``waveform`` (N,) in dB, and the seconds per column.

    Column k is centerd on k times those seconds. Hann windows of about ``window_s`` (a power of two samples, at least
    256), each an eighth of a window after the one before, or as much later as it takes to stay within ``max_columns``.
    """
    size = max(256, 2 ** round(np.log2(window_s * sample_rate_hz)))
    hop = max(size // 8, -(-len(waveform) // max_columns))
    padded = np.pad(waveform, (size // 2, size))
    starts = np.arange(0, max(len(waveform), 1), hop)
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[starts]
    spectrum = np.fft.rfft(frames * np.hanning(size).astype(np.float32), axis=1)
    power = np.square(np.abs(spectrum).T, dtype=np.float32)
    decibel: FloatArray = 10 * np.log10(np.maximum(power, 1e-12))
    return decibel, hop / sample_rate_hz


def contrast(*pictures: FloatArray) -> tuple[float, float]:
    """The decibels drawn black and white, the same for all ``pictures``: background near black, loudest cells white."""
    cells = np.concatenate([picture.ravel() for picture in pictures])
    low, high = (float(value) for value in np.quantile(cells, [0.25, 0.999]))
    return max(low, high - RANGE_DB), max(high, low + 1.0)


def draw_spectrogram(
    axes: "Axes",
    decibel: FloatArray,
    sample_rate_hz: int,
    duration_s: float,
    *,
    start_s: float = 0.0,
    limits_db: tuple[float, float] | None = None,
) -> None:
    """Fill ``axes`` with ``decibel`` (F, T) of the ``duration_s`` seconds from ``start_s`` on; kilohertz upwards."""
    low_db, high_db = limits_db or contrast(decibel)
    extent = (start_s, start_s + duration_s, 0, sample_rate_hz / 2000)
    axes.imshow(decibel, origin="lower", aspect="auto", extent=extent, cmap=LOUDNESS, vmin=low_db, vmax=high_db)
    axes.set(ylabel="kHz", ylim=(0, sample_rate_hz / 2000))
