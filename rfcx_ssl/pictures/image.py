"""Pictures for pages as files in memory: a spectrogram as a small gray JPEG, probabilities over time as a strip of pixels."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.pictures.palette import PROBABILITY
from rfcx_ssl.pictures.spectrogram import contrast, spectrogram_db

ROWS, COLUMNS = 256, 1000  # pixels at most
QUALITY = 75  # of the JPEG


def spectrogram_jpeg(waveform: NDArray[np.float32], sample_rate_hz: int) -> bytes:
    """The spectrogram of ``waveform`` (N,), from 0 Hz at the bottom to half the rate at the top."""
    from PIL import Image

    decibel, _ = spectrogram_db(waveform, sample_rate_hz, max_columns=COLUMNS)
    low, high = contrast(decibel)
    gray = np.clip((decibel[::-1] - low) / (high - low) * 255, 0, 255).astype(np.uint8)
    image = Image.fromarray(gray)
    image = image.resize((min(image.width, COLUMNS), min(image.height, ROWS)), Image.Resampling.BOX)
    return _saved(image, "JPEG", quality=QUALITY)


def probability_png(probability: NDArray[Any]) -> bytes:
    """Probabilities (T,) as T pixels in the colors of every other picture; at most ``COLUMNS``, the highest of those that share one."""
    import matplotlib as mpl
    from PIL import Image

    groups = np.array_split(np.asarray(probability, np.float64), min(len(probability), COLUMNS))
    values = np.array([group.max() for group in groups])
    colors = mpl.colormaps[PROBABILITY](values, bytes=True)[None, :, :3]
    return _saved(Image.fromarray(np.ascontiguousarray(colors)), "PNG", optimize=True)


def _saved(image: Any, kind: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow comes late
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
