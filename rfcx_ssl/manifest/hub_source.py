"""Prepare the recordings of a Hugging Face data set, streamed: only a few of them are on disk at a time."""

import itertools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcx_ssl.batching import batched
from rfcx_ssl.errors import ManifestError, first_line
from rfcx_ssl.files import atomic_path
from rfcx_ssl.manifest.build import Build, BuildReport, finish, prepare_new, scan_new, started
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.manifest.state import BuildState
from rfcx_ssl.settings import settings

#: Recordings on disk at a time; the next ones are fetched when these are cut.
ROWS_PER_ROUND = 64


@settings
class HubSource:
    """Which recordings of which data set: ``path`` is a hub id, a folder of files, or what ``save_to_disk`` wrote."""

    path: str
    name: str | None = None
    split: str = "train"
    column: str | None = None
    site_column: str | None = None
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    recording_id: str
    address: str
    audio: Mapping[str, Any]
    site: str | None


def build_from_hub(build: Build, source: HubSource) -> BuildReport:
    """Prepare the recordings of ``source`` as :func:`rfcx_ssl.manifest.build.build_manifest` does those of folders.

    A second run skips what is prepared. Audio is decoded by libsndfile, never by the data set library.

    Raises:
        ManifestError: the data set, split or column does not exist, or what ``build_manifest`` raises.
    """
    if build.virtual:
        raise ManifestError("a data set is streamed, so its manifest cannot be virtual")
    rows = _rows(source)
    first = next(rows, None)
    if first is None:
        raise ManifestError(f"{source.path}: split {source.split!r} holds no rows")
    scanned = prepared = 0
    incoming = build.out / ".state" / "incoming"
    with started(build) as state:
        state.see(())
        for batch in batched(itertools.chain([first], rows), ROWS_PER_ROUND):
            shutil.rmtree(incoming, ignore_errors=True)
            state.add(_fetch(batch, incoming, state))
            scanned += scan_new(build, state)
            prepared += prepare_new(build, state)
            _settle(state, batch)
        shutil.rmtree(incoming, ignore_errors=True)
        return finish(build, state, scanned, prepared)


def open_stream(source: HubSource) -> Iterator[Mapping[str, Any]]:
    """The rows of the data set; ``audio`` holds the encoded ``bytes`` or the ``path`` of the file.

    Rows are taken in Arrow format: as Python objects, the library would ask for torchcodec even to pass a file name.

    Raises:
        ManifestError: it cannot be opened, or has no (or more than one) audio column.
    """
    import datasets

    try:
        if (Path(source.path) / "dataset_info.json").exists() or (Path(source.path) / "dataset_dict.json").exists():
            stored = datasets.load_from_disk(source.path)
            stream = stored if isinstance(stored, datasets.Dataset) else stored[source.split]
        else:
            stream = datasets.load_dataset(source.path, source.name, split=source.split, streaming=True)
    except Exception as error:  # noqa: BLE001 - many kinds: offline, private, no such split; all the user's to fix
        raise ManifestError(f"{source.path}: cannot be opened as a data set ({first_line(error)})") from None
    column = source.column or _audio_column(source.path, stream.features or {})
    undecoded = stream.cast_column(column, datasets.Audio(decode=False))
    for table in undecoded.with_format("arrow").iter(batch_size=1):
        for row in table.to_pylist():
            yield row | {"audio": row[column]}


def _audio_column(path: str, features: Mapping[str, Any]) -> str:
    import datasets

    columns = [name for name, feature in features.items() if isinstance(feature, datasets.Audio)]
    if len(columns) != 1:
        raise ManifestError(f"{path}: {len(columns)} audio columns among {sorted(features)}; choose one with --column")
    return columns[0]


def _rows(source: HubSource) -> Iterator[_Row]:
    label = Path(source.path).name
    stream = itertools.islice(open_stream(source), source.limit)
    for index, row in enumerate(stream):
        audio = row["audio"]
        if audio is None:
            continue
        name = Path(str(audio.get("path") or "")).name
        name = name if name.isprintable() and name else f"{index:08d}.audio"
        site = None if source.site_column is None else str(row[source.site_column])
        yield _Row(f"{label}/{index:08d}/{name}", f"{source.path}#{source.split}/{index}/{name}", audio, site)


def _fetch(batch: list[_Row], incoming: Path, state: BuildState) -> Iterator[Found]:
    """Put the audio of new rows on disk; rows that are prepared keep what is known about them."""
    for row in batch:
        data = row.audio.get("bytes")
        local = Path(str(row.audio.get("path") or ""))
        if data is None and local.is_file():
            status = local.stat()
            yield Found(row.recording_id, str(local), status.st_size, status.st_mtime_ns)
            continue
        data = audio_bytes(row.audio)
        path = incoming / row.recording_id
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        yield Found(row.recording_id, str(path), len(data), 0)


def audio_bytes(audio: Mapping[str, Any]) -> bytes:
    """The file of a row, embedded or at the address it names.

    Raises:
        ManifestError: it cannot be fetched.
    """
    data, path = audio.get("bytes"), str(audio.get("path") or "")
    if data is not None:
        return bytes(data)
    return Path(path).read_bytes() if Path(path).is_file() else _download(path)


def _download(address: str) -> bytes:
    """A file that the data set only refers to, e.g. ``hf://datasets/...``."""
    import fsspec  # type: ignore[import-untyped]

    try:
        with fsspec.open(address, "rb") as file:
            content: bytes = file.read()
    except (OSError, ValueError) as error:
        raise ManifestError(f"{address}: cannot be fetched ({first_line(error)}); run again to continue") from None
    return content


def _settle(state: BuildState, batch: list[_Row]) -> None:
    """Name the rows by their place in the data set instead of the file that held them for a moment."""
    state.connection.executemany(
        "UPDATE recordings SET path = ?, named_site = COALESCE(?, named_site) WHERE recording_id = ?",
        [(row.address, row.site, row.recording_id) for row in batch],
    )
    state.connection.commit()
