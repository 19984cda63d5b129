"""Prepare the recordings of a Hugging Face data set, streamed: only a few of them are on disk at a time."""

import itertools
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcx_ssl.audio.find import printable_name
from rfcx_ssl.batching import batched
from rfcx_ssl.errors import ManifestError, RfcxError, first_line
from rfcx_ssl.files import atomic_path, safe_name
from rfcx_ssl.manifest.build import Build, BuildReport, finish, prepare_new, scan_new, started
from rfcx_ssl.manifest.roots import Found
from rfcx_ssl.manifest.state import BuildState
from rfcx_ssl.settings import settings

_ADDRESSES = re.compile("(hf|https)://")
_ARCHIVES = re.compile("(zip|tar|gzip|bz2|xz|zstd|lz4)://")
#: Recordings on disk at a time; the next ones are fetched when these are cut.
ROWS_PER_ROUND = 64


class RowError(ManifestError):
    """One row of a data set cannot be used; the others can."""


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
            state.add(_fetch(batch, incoming, source))
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
    try:
        undecoded = stream.cast_column(column, datasets.Audio(decode=False))
        for table in undecoded.with_format("arrow").iter(batch_size=1):
            for row in table.to_pylist():
                yield row | {"audio": row[column]}
    except RfcxError:
        raise
    except Exception as error:  # noqa: BLE001 - as above; a damaged file among them
        raise ManifestError(f"{source.path}: cannot be read to its end ({first_line(error)})") from None


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
        if source.site_column is not None and source.site_column not in row:
            raise ManifestError(f"{source.path}: no column {source.site_column!r} among {', '.join(sorted(row))}")
        site = None if source.site_column is None else printable_name(str(row[source.site_column]))
        yield _Row(f"{label}/{index:08d}/{name}", f"{source.path}#{source.split}/{index}/{name}", audio, site)


def _fetch(batch: list[_Row], incoming: Path, source: HubSource) -> Iterator[Found]:
    """Put the audio of new rows on disk; rows that are prepared keep what is known about them.

    A row without audio that may be had is found with its problem, and stands in nobody's way.
    """
    for row in batch:
        try:
            local = None if row.audio.get("bytes") is not None else own_file(row.audio, source)
            data = b"" if local else audio_bytes(row.audio, source)
        except RowError as error:
            yield Found(row.recording_id, row.address, 0, 0, str(error))
            continue
        if local is not None:
            status = local.stat()
            yield Found(row.recording_id, str(local), status.st_size, status.st_mtime_ns)
            continue
        path = incoming / safe_name(row.recording_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)
        yield Found(row.recording_id, str(path), len(data), 0)


def audio_bytes(audio: Mapping[str, Any], source: HubSource) -> bytes:
    """The file of a row: embedded, in the folder of a local data set, or at the address it names.

    A row does not choose among the files of this machine: a path elsewhere, or an address of another kind than
    :data:`_ADDRESSES`, is refused.

    Raises:
        RowError: there is no such file, or it is none that a row may name.
        ManifestError: it cannot be fetched now.
    """
    data = audio.get("bytes")
    if data is not None:
        return bytes(data)
    local = own_file(audio, source)
    if local is not None:
        return local.read_bytes()
    address = str(audio.get("path") or "")
    *archives, place = address.split("::")
    if not _ADDRESSES.match(place) or not all(_ARCHIVES.match(archive) for archive in archives):
        raise RowError(
            f"names {address[:200]!r}, which is neither in the data set nor at an address of hf:// or https://"
        )
    return _download(address)


def own_file(audio: Mapping[str, Any], source: HubSource) -> Path | None:
    """The file that a row of a local data set names, where it is a regular one in that data set's folder."""
    folder, path = Path(source.path), str(audio.get("path") or "")
    if not path or "\0" in path or not folder.is_dir():
        return None
    resolved = Path(path).resolve()
    return resolved if resolved.is_relative_to(folder.resolve()) and resolved.is_file() else None


def _download(address: str) -> bytes:
    """A file that the data set only refers to, e.g. ``hf://datasets/...``."""
    import fsspec  # type: ignore[import-untyped]

    try:
        with fsspec.open(address, "rb") as file:
            content: bytes = file.read()
    except FileNotFoundError:
        raise RowError(f"names {address[:200]!r}, which is not there") from None
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
