"""One validated recording: spectrogram, labels and frame probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rfcx_ssl.pictures.palette import add_state_legend
from rfcx_ssl.pictures.panels import draw_labels, draw_probability, save_figure
from rfcx_ssl.pictures.spectrogram import draw_spectrogram, spectrogram_db

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

    duration_s, span_s = len(waveform) / sample_rate_hz, (0.0, len(scores) * frame_s)
    shown = _species_to_show(target, clip_scores)
    names = [species_names[species] for species in shown]
    figure = Figure(figsize=(12, 8), layout="constrained", dpi=80)
    top, middle, bottom = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
    decibel, _ = spectrogram_db(waveform, sample_rate_hz)
    draw_spectrogram(top, decibel, sample_rate_hz, duration_s)
    top.set_title(path.stem)
    draw_labels(middle, target[:, shown], known[:, shown], names, span_s)
    middle.set_ylabel("labels")
    image = draw_probability(bottom, scores[:, shown], names, span_s)
    figure.colorbar(image, ax=[top, middle, bottom], label="probability", pad=0.01, fraction=0.02)
    bottom.set(xlabel="seconds", xlim=(0, duration_s))
    add_state_legend(figure)
    save_figure(figure, path)


def _species_to_show(target: np.ndarray, clip: np.ndarray) -> list[int]:
    """Species with a label, then those with the highest scores, at most MAX_SPECIES; in index order."""
    labelled = target.max(axis=0) > 0
    ranked = sorted(range(len(clip)), key=lambda s: (not labelled[s], -clip[s]))
    return sorted(ranked[:MAX_SPECIES])
