"""Probabilities of every frame as half-precision Parquet: one row per recording; and how to read them back.

======================  ======================================================================
column                  holds
======================  ======================================================================
``recording``           its name
``frame_s``             seconds per frame
``start_s``             where the first frame starts, in seconds from the start of the file
``frames``, ``species``  T and S
``scores``              T * S values of float16, the species of a frame next to each other
======================  ======================================================================

The names of the S species are in the file's metadata, as a JSON list under the key ``species``.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers.base import ParquetTable

COLUMNS = ("recording", "frame_s", "start_s", "frames", "species", "scores")


class FrameParquet(ParquetTable):
    """frames.parquet."""

    def __init__(self, path: Path, species_names: Sequence[str], frame_s: float) -> None:
        import pyarrow as pa

        kinds = (pa.string(), pa.float64(), pa.float64(), pa.int64(), pa.int32(), pa.list_(pa.float16()))
        names = json.dumps(list(species_names)).encode()
        super().__init__(path, pa.schema(list(zip(COLUMNS, kinds, strict=True)), metadata={"species": names}))
        self._frame_s = frame_s

    def add(self, result: Result) -> None:
        """Append the recording's row."""
        scores = result.arrays.get("frames")
        if scores is not None:
            values = np.ascontiguousarray(scores, dtype=np.float16).ravel()
            self.write((result.recording, self._frame_s, result.start_s, *scores.shape, values), values.nbytes)


class FrameScores(NamedTuple):
    """The frames of one recording."""

    recording: str
    frame_s: float
    start_s: float
    species: tuple[str, ...]  # names (S,)
    scores: NDArray[np.float16]  # (T, S)


def read_frames(path: str | Path) -> Iterator[FrameScores]:
    """The recordings of a ``frames.parquet`` in its order, one in memory at a time."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        names = tuple(json.loads(file.schema_arrow.metadata[b"species"]))
        for batch in file.iter_batches(batch_size=1):
            recording, frame_s, start_s, frames, species = (batch.column(name)[0].as_py() for name in COLUMNS[:5])
            values = batch.column("scores")[0].values.to_numpy(zero_copy_only=False)
            yield FrameScores(recording, frame_s, start_s, names, values.reshape(frames, species))
