"""Files on other machines, through fsspec: what is there, in a fixed order, one folder in memory at a time."""

import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from rfcx_ssl.detection.patterns import Entry
from rfcx_ssl.errors import AudioError, MissingExtraError, first_line, require_extra

logger = logging.getLogger(__name__)

#: Package of a protocol that fsspec needs beyond itself, and our extra that brings it.
_PACKAGES = {"http": ("aiohttp", ""), "https": ("aiohttp", ""), "s3": ("s3fs", "s3"), "s3a": ("s3fs", "s3")}
#: What a file system may say that changes with the content of a file, the surest first.
_VERSIONS = (
    "ETag", "etag", "Content-MD5", "md5", "blob_id", "checksum", "crc32c",
    "mtime", "LastModified", "Last-Modified", "last_modified", "updated", "modified", "created",
)  # fmt: skip


def open_url(url: str) -> tuple[Any, str]:
    """The file system of a URL and the path in it.

    Raises:
        AudioError: the protocol is unknown. MissingExtraError: its package is not installed.
    """
    import fsspec  # type: ignore[import-untyped]

    package, extra = _PACKAGES.get(url.partition("://")[0], ("", ""))
    if package:
        require_extra(package, extra)
    try:
        # without its cache of listings, which grows with every folder
        filesystem, path = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingExtraError(f"{url}: {first_line(error)}") from None
    except ValueError as error:
        raise AudioError(f"{url}: {first_line(error)}") from None
    return filesystem, path


def look_up(url: str) -> Entry:
    """What a URL leads to.

    Raises:
        AudioError: nothing, or it cannot be reached.
    """
    filesystem, path = open_url(url)
    if _is_web(url) and url.endswith("/"):
        return Entry(url, is_folder=True)  # a page that lists files: http knows no folders
    try:
        info = filesystem.info(path)
    except FileNotFoundError:
        raise AudioError(f"{url}: no such file or folder") from None
    except Exception as error:  # noqa: BLE001 - every protocol has errors of its own
        raise AudioError(f"{url}: cannot be reached ({first_line(error)})") from None
    return _entry(url, info)


def entries_of_url(folder: str) -> list[Entry]:
    """What a folder holds, by name.

    Raises:
        AudioError: it does not exist, or cannot be listed.
    """
    filesystem, path = open_url(folder)
    try:
        infos = filesystem.ls(path, detail=True)
        filesystem.dircache.clear()  # the hub's keeps every folder, whatever it is told
    except FileNotFoundError:
        raise AudioError(f"{folder}: no such folder") from None
    except Exception as error:  # noqa: BLE001 - as above
        raise AudioError(f"{folder}: cannot be listed ({first_line(error)})") from None
    found = []
    for info in infos:
        place = info["name"].rstrip("/")
        elsewhere = _is_web(folder) and not place.startswith(folder.rstrip("/") + "/")  # where a page links to
        if place != path.rstrip("/") and not elsewhere:  # a bucket may hold an object for the folder itself
            slash = "/" if info["name"].endswith("/") else ""
            found.append(_entry(f"{folder.rstrip('/')}/{place.rpartition('/')[2]}{slash}", info))
    return sorted(found, key=lambda entry: entry.name)


def walk_url(folder: Entry) -> Iterator[Entry]:
    """The files below a folder, depth first, names sorted, hidden ones left out.

    Raises:
        AudioError: the folder cannot be listed; one below it is passed over with a warning.
    """
    for entry in entries_of_url(folder.path):
        if entry.name.startswith("."):
            continue
        if not entry.is_folder:
            yield entry
            continue
        try:
            yield from walk_url(entry)
        except AudioError as error:
            logger.warning("%s", error)


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _entry(url: str, info: Mapping[str, Any]) -> Entry:
    version = next((info[key] for key in _VERSIONS if info.get(key)), "")
    text = version.isoformat() if isinstance(version, datetime) else str(version)
    return Entry(url, info["type"] == "directory", int(info.get("size") or 0), text)
