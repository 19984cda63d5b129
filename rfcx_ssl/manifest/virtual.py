"""Read a manifest split by crops: the virtual form (rows point into original recordings) and the prepared form.

A virtual split is ``train.parquet`` or ``valid.parquet`` with one row per segment:

=================  ==========  ==========================================================================
``path``           dictionary  absolute path of the original recording
``start_samples``  int64       first sample of the segment, counted at the manifest's sample rate
``num_samples``    int64       its length, counted at the manifest's sample rate
``source_rate_hz`` int32       sample rate of the recording, checked when it is read
=================  ==========  ==========================================================================

The schema metadata hold ``rfcx_ssl.kind`` (``virtual/1``), ``rfcx_ssl.sample_rate_hz`` and ``rfcx_ssl.channel`` (a
number, or ``mean``). A prepared split is fairseq's TSV. Both become columns in Arrow and NumPy memory: no Python object
per row, so millions of rows are cheap and are shared by forked data loader workers.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from rfcx_ssl.audio import FloatArray, audio_info, read_audio
from rfcx_ssl.errors import ManifestError, first_line
from rfcx_ssl.files import atomic_path
from rfcx_ssl.manifest.summary import load_summary

KIND = "virtual/1"
SCHEMA = pa.schema(
    [
        pa.field("path", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("start_samples", pa.int64(), nullable=False),
        pa.field("num_samples", pa.int64(), nullable=False),
        pa.field("source_rate_hz", pa.int32(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class VirtualRow:
    """One segment: ``num_samples`` from ``start_samples`` of ``path``, both counted at the manifest's rate."""

    path: Path
    start_samples: int
    num_samples: int
    source_rate_hz: int


class VirtualManifest:
    """The segments of one split, list-like; see :func:`load_virtual`.

    Attributes:
        path: the file it was read from.
        sample_rate_hz: rate of every crop and of every count of samples.
        starts: (rows,) int64, first sample of each segment within its recording.
        sizes: (rows,) int64, number of samples of each segment.
    """

    def __init__(self, path: Path, table: pa.Table, *, root: Path, sample_rate_hz: int, channel: int | None) -> None:
        self.path = path
        self.sample_rate_hz = sample_rate_hz
        self.starts: NDArray[np.int64] = table.column("start_samples").to_numpy()
        self.sizes: NDArray[np.int64] = table.column("num_samples").to_numpy()
        self._source_rates: NDArray[np.int32] = table.column("source_rate_hz").to_numpy()
        self._paths = table.column("path").combine_chunks()
        self._root = root
        self._channel = channel

    def __len__(self) -> int:
        """Number of segments."""
        return len(self.sizes)

    def __getitem__(self, index: int) -> VirtualRow:
        """The row at ``index``."""
        path = self._root / self._paths[int(index)].as_py()
        return VirtualRow(path, int(self.starts[index]), int(self.sizes[index]), int(self._source_rates[index]))

    def read_crop(self, index: int, start_samples: int = 0, num_samples: int | None = None) -> FloatArray:
        """Seek-read samples ``[start_samples, start_samples + num_samples)`` of segment ``index``.

        Returns mono float32 of shape ``(num_samples,)`` at ``sample_rate_hz``; None reads to the segment's end.

        Raises:
            AudioError: the recording is gone, damaged, or has another sample rate than the manifest says.
            ValueError: the crop leaves its segment.
        """
        row = self[index]
        stop = row.num_samples if num_samples is None else start_samples + num_samples
        if not 0 <= start_samples <= stop <= row.num_samples:
            raise ValueError(f"crop [{start_samples}, {stop}) leaves segment {index} of {row.num_samples} samples")
        return read_audio(
            row.path,
            start_samples=row.start_samples + start_samples,
            num_samples=stop - start_samples,
            sample_rate_hz=self.sample_rate_hz,
            channel=self._channel,
            source_hz=row.source_rate_hz,
        )


def load_virtual(path: str | Path) -> VirtualManifest:
    """Load one split: a virtual ``*.parquet`` or a prepared fairseq ``*.tsv``.

    Raises:
        ManifestError: the file is missing, is neither, or lacks a column.
    """
    path = Path(path)
    if not path.is_file():
        raise ManifestError(f"{path}: no such manifest; manifests/build.py writes train and valid splits")
    return _load_tsv(path) if path.suffix == ".tsv" else _load_parquet(path)


def split_file(folder: Path, split: str, *, virtual: bool) -> Path:
    """Where a manifest folder keeps a split, in its virtual or its prepared form."""
    return folder / f"{split}.{'parquet' if virtual else 'tsv'}"


def find_split(folder: Path, split: str) -> Path:
    """The manifest of a split: its virtual form where there is one, else its prepared form (which may be missing)."""
    virtual = split_file(folder, split, virtual=True)
    return virtual if virtual.is_file() else split_file(folder, split, virtual=False)


@contextmanager
def virtual_writer(path: Path, *, sample_rate_hz: int, channel: int | None) -> Iterator[pa.parquet.ParquetWriter]:
    """A Parquet writer for one virtual split (``write_batch`` with :data:`SCHEMA`); the file appears at the end."""
    metadata = {
        "rfcx_ssl.kind": KIND,
        "rfcx_ssl.sample_rate_hz": str(sample_rate_hz),
        "rfcx_ssl.channel": "mean" if channel is None else str(channel),
    }
    schema = SCHEMA.with_metadata(metadata)
    with atomic_path(path) as temporary, pa.parquet.ParquetWriter(temporary, schema, compression="zstd") as writer:
        yield writer


def _load_parquet(path: Path) -> VirtualManifest:
    try:
        table = pa.parquet.read_table(path, read_dictionary=["path"]).unify_dictionaries()
    except (pa.ArrowException, OSError) as error:
        raise ManifestError(f"{path}: not a Parquet file ({first_line(error)})") from None
    metadata = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if metadata.get("rfcx_ssl.kind") != KIND:
        raise ManifestError(f"{path}: rfcx_ssl.kind={metadata.get('rfcx_ssl.kind')!r}, need {KIND!r}; rebuild it")
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise ManifestError(f"{path}: lacks column {', '.join(missing)}")
    channel = metadata["rfcx_ssl.channel"]
    return VirtualManifest(
        path,
        table,
        root=Path("/"),
        sample_rate_hz=int(metadata["rfcx_ssl.sample_rate_hz"]),
        channel=None if channel == "mean" else int(channel),
    )


def _load_tsv(path: Path) -> VirtualManifest:
    """Fairseq's TSV: the root on the first line, then ``relpath<TAB>frames``; each row is a whole file."""
    root, has_rows = _root_of(path)
    options: dict[str, Any] = {
        "read_options": pa.csv.ReadOptions(column_names=["path", "num_samples"], skip_rows=1),
        "parse_options": pa.csv.ParseOptions(delimiter="\t", quote_char=False),
        "convert_options": pa.csv.ConvertOptions(column_types={"path": pa.string(), "num_samples": pa.int64()}),
    }
    try:
        table = pa.csv.read_csv(path, **options) if has_rows else _empty_rows()
    except pa.ArrowException as error:
        raise ManifestError(f"{path}: rows must be relpath<TAB>frames ({first_line(error)})") from None
    rate = _prepared_rate(path, root, table)
    rows = len(table)
    table = table.append_column("start_samples", pa.array(np.zeros(rows, dtype=np.int64)))
    table = table.append_column("source_rate_hz", pa.array(np.full(rows, rate, dtype=np.int32)))
    return VirtualManifest(path, table, root=root, sample_rate_hz=rate, channel=None)


def _root_of(path: Path) -> tuple[Path, bool]:
    """The root of a TSV, and whether rows follow."""
    try:
        with path.open("rb") as lines:
            return Path(lines.readline().decode("utf-8").rstrip("\n")), bool(lines.readline())
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read ({first_line(error)})") from None


def _empty_rows() -> pa.Table:
    return pa.table({"path": pa.array([], pa.string()), "num_samples": pa.array([], pa.int64())})


def _prepared_rate(path: Path, root: Path, table: pa.Table) -> int:
    """Sample rate of a prepared split: what ``manifest.json`` says, else that of the first file."""
    stated = path.with_name("manifest.json")
    if stated.is_file():
        return int(load_summary(stated.parent)["sample_rate_hz"])
    if len(table) == 0:
        raise ManifestError(f"{path}: no rows and no manifest.json, so its sample rate is unknown")
    return audio_info(root / table.column("path")[0].as_py()).sample_rate_hz
