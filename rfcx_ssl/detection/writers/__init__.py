"""What detection writes, one file per kind: ``open_writers`` for events, ``open_tables`` for all else.

Both return context managers with ``add(result)``, to be fed in the order of the listing by one process. Files appear
whole or not at all, when a writer exits; no writer keeps anything of the recordings that it was given.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path

from rfcx_ssl.detection.clips import ClipSettings
from rfcx_ssl.detection.recording_table import RecordingTable
from rfcx_ssl.detection.writers.base import Writer
from rfcx_ssl.detection.writers.clips import ClipCsv
from rfcx_ssl.detection.writers.embeddings import EmbeddingNpz, EmbeddingParquet
from rfcx_ssl.detection.writers.events import EventCsv, EventLines, EventParquet
from rfcx_ssl.detection.writers.frames import FrameParquet, FrameZarr
from rfcx_ssl.detection.writers.names import check_columns, check_label_texts, check_names
from rfcx_ssl.detection.writers.programs import OF_EACH, BirdNet, Kaleidoscope
from rfcx_ssl.detection.writers.tables import (
    SCORE_COLUMNS,
    WINDOW_COLUMNS,
    ErrorCsv,
    ScoreCsv,
    ScoreParquet,
    WindowCsv,
    WindowParquet,
)
from rfcx_ssl.detection.writers.when_where import WhenWhere

CLIPS = ClipSettings()  # as they are cut by default

__all__ = ["Writer", "check_label_texts", "open_tables", "open_writers"]


def open_writers(
    formats: Sequence[str],
    out: Path,
    species_names: Sequence[str],
    nyquist_hz: float,
    *,
    scientific_names: Mapping[str, str] | None = None,
    table: RecordingTable | None = None,
) -> list[Writer]:
    """A writer of events for each of ``formats`` (names of ``settings.FORMATS``), below ``out``.

    Args:
        nyquist_hz: upper end of a band that is not known, where a program needs one.
        scientific_names: of the species that have one, for BirdNET's columns.
        table: where and when recordings were made.

    Raises:
        ConfigError: a species' name would make a label that cannot be read back.
    """
    check_names(formats, species_names)
    when_where = WhenWhere(table)
    makers: dict[str, Callable[[], Writer]] = {
        "csv": lambda: EventCsv(out / "events.csv", when_where),
        "parquet": lambda: EventParquet(out / "events.parquet", when_where),
        "jsonl": lambda: EventLines(out / "events.jsonl", when_where),
        **{name: partial(kind, out / name, nyquist_hz) for name, kind in OF_EACH.items()},
        "kaleidoscope": lambda: Kaleidoscope(out / "kaleidoscope.csv"),
        "birdnet": lambda: BirdNet(out / "birdnet.csv", scientific_names or {}),
    }
    return [makers[name]() for name in dict.fromkeys(formats)]


def open_tables(
    out: Path,
    species_names: Sequence[str],
    *,
    formats: Sequence[str],
    saves: Collection[str] = (),
    window_s: float,
    frame_s: float,
    clips: ClipSettings = CLIPS,
    table: RecordingTable | None = None,
) -> list[Writer]:
    """The writers of what is no event: scores.csv, errors.csv, and what was asked for.

    Args:
        formats: those of the events. With ``parquet`` among them scores are written as Parquet, too, and windows as
            Parquet, too, or only, where ``csv`` is not among them.
        saves: of ``settings.SAVES``, what to write beside events and scores.
        window_s: length of a window.
        frame_s: length of a frame.
        clips: how clips were cut.
        table: where and when recordings were made.

    Raises:
        ConfigError: a species is called as a column is.
    """
    when_where = WhenWhere(table)
    check_columns((*SCORE_COLUMNS, *WINDOW_COLUMNS, *when_where.columns), species_names)
    writers: list[Writer] = [ScoreCsv(out / "scores.csv", species_names, when_where), ErrorCsv(out / "errors.csv")]
    parquet = "parquet" in formats
    if parquet:
        writers.append(ScoreParquet(out / "scores.parquet", species_names, when_where))
    if "windows" in saves and ("csv" in formats or not parquet):
        writers.append(WindowCsv(out / "windows.csv", species_names, window_s))
    if "windows" in saves and parquet:
        writers.append(WindowParquet(out / "windows.parquet", species_names, window_s))
    if "frames" in saves:
        writers.append(FrameParquet(out / "frames.parquet", species_names, frame_s))
    if "frames_zarr" in saves:
        writers.append(FrameZarr(out / "frames.zarr", species_names, frame_s))
    if "embeddings" in saves:
        writers.append(EmbeddingParquet(out / "embeddings.parquet", window_s))
    if "embeddings_npz" in saves:
        writers.append(EmbeddingNpz(out / "embeddings.npz", window_s))
    if "clips" in saves:
        writers.append(ClipCsv(out / "clips.csv", clips))
    return writers
