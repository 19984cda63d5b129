"""One validated recording: spectrogram, labels and frame probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

NUM_FFT = 1024
MAX_SPECIES = 8  # rows shown: the labelled species first, then the highest scores


def draw_scores(
    path: Path,
    waveform: np.ndarray,
    sample_rate_hz: int,
    target: np.ndarray,
    known: np.ndarray,
    scores: np.ndarray,
    clip_scores: np.ndarray,
    frame_s: float,
    species_names: Sequence[str],
) -> None:
    """Draw a waveform (N,) above its labels ``target`` and ``known`` (T, S) and frame ``scores`` (T, S), as PNG.

    Rows are the labelled species, then those with the highest ``clip_scores`` (S,).
    """
    from matplotlib.figure import Figure

    duration_s = len(waveform) / sample_rate_hz
    shown = _species_to_show(target, clip_scores)
    figure = Figure(figsize=(12, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    nyquist_khz = sample_rate_hz / 2000
    spectrum = log_spectrogram(waveform)
    top.imshow(spectrum, origin="lower", aspect="auto", extent=(0, duration_s, 0, nyquist_khz), cmap="magma")
    top.set(ylabel="kHz", title=path.stem)
    states = np.where(known > 0, np.where(target > 0, 1.0, -1.0), 0.0)[:, shown].T
    extent = (0.0, states.shape[1] * frame_s, len(shown) - 0.5, -0.5)
    middle.imshow(states, aspect="auto", extent=extent, cmap="coolwarm", vmin=-1, vmax=1, interpolation="nearest")
    middle.set(ylabel="labels: red present,\nblue absent, grey unknown")
    values = scores[:, shown].T
    bottom.imshow(values, aspect="auto", extent=extent, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    bottom.set(ylabel="probability", xlabel="seconds")
    for axes in (middle, bottom):
        axes.set_yticks(range(len(shown)), [species_names[s] for s in shown], fontsize=7)
    top.set_xlim(0, duration_s)
    figure.savefig(path, dpi=80)


def log_spectrogram(waveform: np.ndarray) -> np.ndarray:
    """Waveform (N,) -> decibels (frequency, time), clipped to 80 dB below the peak."""
    window = torch.hann_window(NUM_FFT)
    spectrum = torch.stft(
        torch.from_numpy(waveform), NUM_FFT, NUM_FFT // 2, window=window, pad_mode="constant", return_complex=True
    )
    level_db = 20 * torch.log10(spectrum.abs() + 1e-8)
    limited: np.ndarray = level_db.clamp(min=float(level_db.max()) - 80).numpy()
    return limited


def _species_to_show(target: np.ndarray, clip: np.ndarray) -> list[int]:
    """Species with a label, then those with the highest scores, at most MAX_SPECIES; in index order."""
    labelled = target.max(axis=0) > 0
    ranked = sorted(range(len(clip)), key=lambda s: (not labelled[s], -clip[s]))
    return sorted(ranked[:MAX_SPECIES])
