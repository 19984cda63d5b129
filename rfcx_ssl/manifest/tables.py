"""Write what a build found: fairseq's TSVs, or virtual splits; segments.parquet; quarantine.csv. All atomic."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from rfcx_ssl.annotations.layout import QUARANTINE_TABLE
from rfcx_ssl.batching import batched
from rfcx_ssl.files import atomic_path, write_csv
from rfcx_ssl.manifest.cut import segment_name
from rfcx_ssl.manifest.metadata import add_seconds
from rfcx_ssl.manifest.settings import ManifestSettings
from rfcx_ssl.manifest.state import BuildState
from rfcx_ssl.manifest.virtual import SCHEMA as VIRTUAL_SCHEMA
from rfcx_ssl.manifest.virtual import split_file, virtual_writer

AUDIO_FOLDER = "audio"
ROWS_PER_GROUP = 16_384  # of Python rows in memory at a time
SEGMENTS_SCHEMA = pa.schema(
    [
        ("recording_id", pa.string()),
        ("source", pa.string()),
        ("segment", pa.string()),
        ("start_samples", pa.int64()),
        ("num_samples", pa.int64()),
        ("sample_rate_hz", pa.int32()),
        ("source_rate_hz", pa.int32()),
        ("channels", pa.int32()),
        ("site", pa.string()),
        ("recorder", pa.string()),
        ("start_time", pa.string()),
        ("peak", pa.float32()),
        ("rms", pa.float32()),
        ("clipped_share", pa.float32()),
        ("audio_hash", pa.string()),
        ("status", pa.string()),
        ("group", pa.string()),
        ("split", pa.string()),
    ]
)
_SEGMENTS = """
SELECT s.recording_id, r.path, s.idx, s.start_samples, s.num_samples, r.sample_rate_hz, r.channels, r.site, r.recorder,
    r.start_time, s.peak, s.rms, s.clipped_share, s.audio_hash, s.status, r.grp, s.split
FROM segments AS s JOIN recordings AS r USING (recording_id) ORDER BY s.recording_id, s.idx
"""
_USED = "SELECT s.recording_id, s.idx, s.num_samples FROM segments AS s WHERE s.split = ? ORDER BY recording_id, idx"
_USED_VIRTUAL = """
SELECT r.path, s.start_samples, s.num_samples, r.sample_rate_hz
FROM segments AS s JOIN recordings AS r USING (recording_id) WHERE s.split = ? ORDER BY s.recording_id, s.idx
"""


def write_tsv(state: BuildState, folder: Path, split: str) -> None:
    """``<split>.tsv`` as stock fairseq reads it: the root, then ``relpath<TAB>frames``."""
    rows = state.connection.execute(_USED, (split,))
    with (
        atomic_path(split_file(folder, split, virtual=False)) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write(f"{(folder / AUDIO_FOLDER).resolve()}\n")
        file.writelines(f"{segment_name(recording, index)}\t{samples}\n" for recording, index, samples in rows)


def write_virtual(state: BuildState, folder: Path, split: str, settings: ManifestSettings) -> None:
    """``<split>.parquet``: rows that point into the original recordings (:mod:`rfcx_ssl.manifest.virtual`)."""
    rows = state.connection.execute(_USED_VIRTUAL, (split,))
    path = split_file(folder, split, virtual=True)
    with virtual_writer(path, sample_rate_hz=settings.sample_rate_hz, channel=settings.channel) as writer:
        for batch in batched(rows, ROWS_PER_GROUP):
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, VIRTUAL_SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=writer.schema))


def write_segments(state: BuildState, folder: Path, sample_rate_hz: int, *, virtual: bool) -> None:
    """``segments.parquet``: every segment, used or not, with what is known about it."""
    rows = (_segment_row(row, sample_rate_hz, virtual=virtual) for row in state.connection.execute(_SEGMENTS))
    with (
        atomic_path(folder / "segments.parquet") as temporary,
        pa.parquet.ParquetWriter(temporary, SEGMENTS_SCHEMA, compression="zstd") as writer,
    ):
        for batch in batched(rows, ROWS_PER_GROUP):
            columns = zip(*batch, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(columns, SEGMENTS_SCHEMA, strict=True)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=SEGMENTS_SCHEMA))


def write_quarantine(state: BuildState, folder: Path) -> int:
    """``quarantine.csv``: every file that was left out and why; returns how many."""
    rows = state.connection.execute("SELECT path, problem FROM recordings WHERE problem <> '' ORDER BY recording_id")
    return write_csv(folder / QUARANTINE_TABLE, ["file", "reason"], rows)


def _segment_row(row: tuple[Any, ...], sample_rate_hz: int, *, virtual: bool) -> tuple[Any, ...]:
    recording, path, index, start, samples, source_rate, channels, site, recorder, start_time, *rest = row
    segment = None if virtual else segment_name(recording, index)
    time = add_seconds(start_time, start / sample_rate_hz)
    return (
        recording,
        path,
        segment,
        start,
        samples,
        sample_rate_hz,
        source_rate,
        channels,
        site,
        recorder,
        time,
        *rest,
    )
