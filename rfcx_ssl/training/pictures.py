"""Example pictures of an evaluation: spectrogram, labels and frame probabilities of a few recordings."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from rfcx_ssl.training.parts import Validation

NUM_FFT = 1024
MAX_SPECIES = 8  # rows shown: the labelled species first, then the highest scores


def write_pictures(folder: Path, step: int, model: nn.Module, validation: Validation, count: int) -> list[Path]:
    """Draw the ``count`` recordings with the most labelled species into ``folder/step_N``; returns the files."""
    if count == 0:
        return []
    rows = np.argsort(-(validation.truth & validation.known).sum(axis=1), kind="stable")[:count]
    target = folder / f"step_{step:07d}"
    target.mkdir(exist_ok=True)
    was_training = model.training
    model.eval()
    paths = [_draw(target, validation.recording_ids[row], model, validation) for row in rows]
    model.train(was_training)
    return paths


def _draw(folder: Path, name: str, model: nn.Module, validation: Validation) -> Path:
    from matplotlib.figure import Figure

    waveform = validation.read(name)
    scores = validation.predict(model, waveform)
    labels = validation.frame_labels(name)
    duration_s = len(waveform) / validation.sample_rate_hz
    shown = _species_to_show(labels.target, scores.clip)
    figure = Figure(figsize=(12, 7), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    nyquist_khz = validation.sample_rate_hz / 2000
    spectrum = log_spectrogram(waveform)
    top.imshow(spectrum, origin="lower", aspect="auto", extent=(0, duration_s, 0, nyquist_khz), cmap="magma")
    top.set(ylabel="kHz", title=name)
    states = np.where(labels.known > 0, np.where(labels.target > 0, 1.0, -1.0), 0.0)[:, shown].T
    extent = (0.0, states.shape[1] * validation.frame_s, len(shown) - 0.5, -0.5)
    middle.imshow(states, aspect="auto", extent=extent, cmap="coolwarm", vmin=-1, vmax=1, interpolation="nearest")
    middle.set(ylabel="labels: red present,\nblue absent, grey unknown")
    values = scores.frame[:, shown].T
    bottom.imshow(values, aspect="auto", extent=extent, cmap="viridis", vmin=0, vmax=1, interpolation="nearest")
    bottom.set(ylabel="probability", xlabel="seconds")
    for axes in (middle, bottom):
        axes.set_yticks(range(len(shown)), [validation.species_names[s] for s in shown], fontsize=7)
    top.set_xlim(0, duration_s)
    path = folder / f"{name}.png"
    figure.savefig(path, dpi=80)
    return path


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
