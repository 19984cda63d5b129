"""A contact sheet: one spectrogram per song type, to see at a glance what the forest sounds like."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rfcx_ssl.pictures.palette import PRESENT
from rfcx_ssl.pictures.panels import save_figure
from rfcx_ssl.pictures.spectrogram import draw_spectrogram, spectrogram_db
from rfcx_ssl.synth.notes import SAMPLE_RATE_HZ, Samples
from rfcx_ssl.synth.repertoire import SONG_TYPES, SongType, draw_voice
from rfcx_ssl.synth.settings import SynthSettings

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLUMNS = 5
_GAP_S = 0.25
_NOISE_DB = -22.0  # background of the pictures against the calls
_RANGE_DB = 50.0  # from black to the loudest cell


def contact_sheet(path: Path, settings: SynthSettings, songs: Sequence[SongType] = SONG_TYPES) -> None:
    """Draw the calls of two individuals of every song type of ``songs``, with the species' band outlined, to ``path`` (PNG)."""
    from matplotlib.figure import Figure

    rows = -(-len(songs) // _COLUMNS)
    figure = Figure(figsize=(4.0 * _COLUMNS, 2.4 * rows), layout="constrained", dpi=90)
    axes = figure.subplots(rows, _COLUMNS).ravel()
    for number, song in enumerate(songs):
        _panel(axes[number], song, settings, np.random.default_rng([settings.seed, 3, number]))
    for spare in axes[len(songs) :]:
        spare.set_axis_off()
    figure.supxlabel("seconds (two individuals)")
    figure.supylabel("kHz (dashed: the species' band)")
    save_figure(figure, path)


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


def _panel(axes: "Axes", song: SongType, settings: SynthSettings, rng: np.random.Generator) -> None:
    row = song.row
    samples = two_voices(song, settings, rng)
    decibel, _ = spectrogram_db(
        samples, SAMPLE_RATE_HZ, window_s=0.042 if song.f_max_hz < 5000 else 0.021, max_columns=900
    )
    loudest_db = float(decibel.max())
    draw_spectrogram(
        axes, decibel, SAMPLE_RATE_HZ, len(samples) / SAMPLE_RATE_HZ, limits_db=(loudest_db - _RANGE_DB, loudest_db)
    )
    margin_hz = 0.25 * (song.f_max_hz - song.f_min_hz)
    axes.set(ylabel="", ylim=(max(song.f_min_hz - margin_hz, 0) / 1000, (song.f_max_hz + margin_hz) / 1000))
    for edge_hz in (song.f_min_hz, song.f_max_hz):
        axes.axhline(edge_hz / 1000, color=PRESENT, linestyle="--", linewidth=0.8)
    axes.set_title(f"s{row.species_id}/{row.songtype_id} {row.name}\n{song.grammar.__name__}", fontsize=8)
    axes.tick_params(labelsize=7)
