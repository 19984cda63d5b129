"""A contact sheet: one spectrogram per song type, to see at a glance what the forest sounds like."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.fft import rfft

from rfcx_ssl.files import atomic_path
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Samples
from rfcx_ssl.synth.repertoire import SONG_TYPES, SongType, draw_voice
from rfcx_ssl.synth.settings import SynthSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_GAP_S = 0.25
_NOISE_DB = -22.0  # background of the pictures against the calls


def contact_sheet(path: Path, settings: SynthSettings, songs: Sequence[SongType] = SONG_TYPES) -> None:
    """Draw the calls of two individuals of every song type of ``songs``, with the species' band outlined, to ``path`` (PNG)."""
    from matplotlib.figure import Figure

    rows = -(-len(songs) // _COLUMNS)
    figure = Figure(figsize=(4.0 * _COLUMNS, 2.4 * rows), layout="constrained")
    axes = figure.subplots(rows, _COLUMNS).ravel()
    for number, song in enumerate(songs):
        _panel(axes[number], song, settings, np.random.default_rng([settings.seed, 3, number]))
    for spare in axes[len(songs) :]:
        spare.set_axis_off()
    figure.supxlabel("seconds (two individuals)")
    figure.supylabel("kHz (dashed: the species' band)")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=90, format="png")


def two_voices(song: SongType, settings: SynthSettings, rng: np.random.Generator) -> Samples:
    """Calls of two individuals, one after the other, over faint white noise."""
    gap = np.zeros(round(_GAP_S * SAMPLE_RATE_HZ), np.float32)
    parts = [gap]
    for _ in range(2):
        voice = draw_voice(song, rng, settings.pitch_variation, settings.tempo_variation)
        parts += [voice.sing(rng).samples, gap]
    samples = np.concatenate(parts)
    noise = rng.standard_normal(len(samples), dtype=np.float32) * np.float32(10 ** (_NOISE_DB / 20))
    both: Samples = samples + noise
    return both


def spectrogram_db(samples: Samples, window: int, hop: int) -> NDArray[np.float32]:
    """Decibels below the loudest cell, (N,) -> (window // 2 + 1, T); Hann window."""
    starts = np.arange(0, len(samples) - window, hop)
    frames = samples[starts[:, None] + np.arange(window)] * np.hanning(window).astype(np.float32)
    power = np.square(np.abs(rfft(frames, axis=1))).T
    decibels: NDArray[np.float32] = 10 * np.log10(power / power.max() + 1e-9)
    return decibels


def _panel(axes: "Axes", song: SongType, settings: SynthSettings, rng: np.random.Generator) -> None:
    row = song.row
    samples = two_voices(song, settings, rng)
    window = 2048 if row.f_max_hz < 5000 else 1024
    hop = max(len(samples) // 900, 64)
    decibels = spectrogram_db(samples, window, hop)
    seconds, top_khz = len(samples) / SAMPLE_RATE_HZ, SAMPLE_RATE_HZ / 2000
    axes.imshow(
        decibels, origin="lower", aspect="auto", extent=(0, seconds, 0, top_khz), vmin=-50, vmax=0, cmap="magma"
    )
    margin_hz = 0.25 * (row.f_max_hz - row.f_min_hz)
    axes.set_ylim(max(row.f_min_hz - margin_hz, 0) / 1000, (row.f_max_hz + margin_hz) / 1000)
    for edge_hz in (row.f_min_hz, row.f_max_hz):
        axes.axhline(edge_hz / 1000, color="white", linestyle="--", linewidth=0.6)
    axes.set_title(f"s{row.species_id}/{row.songtype_id} {row.name}\n{song.grammar.__name__}", fontsize=8)
    axes.tick_params(labelsize=7)
