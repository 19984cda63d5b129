"""One thing to listen to, and what to call it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from urllib.parse import urlsplit

from rfcx_ssl.audio.find import bare_name, part_mark, printable_name

_URL = re.compile(r"[A-Za-z][\w+.-]*://")


@dataclass(frozen=True, slots=True)
class Recording:
    """An audio file, or the part of one between ``start_s`` and ``end_s`` (None: to its end)."""

    name: str  # the one it would like to have; unique only after free_name
    path: str  # absolute, or a URL
    start_s: float = 0.0
    end_s: float | None = None
    size: int = 0  # bytes; 0 where nobody says
    changed: str = ""  # what changes when the content does (mtime in ns, ETag, checksum); empty where nobody says


def is_url(path: str) -> bool:
    """Whether a path is one that fsspec opens, on another machine as a rule."""
    return _URL.match(path) is not None


def name_below(path: str, folder: str | None = None, *, mark: str = "") -> str:
    """The path below ``folder`` without suffix, with forward slashes; elsewhere the file's stem. ``mark`` follows."""
    place = _place(path).rstrip("/")
    inside = "" if folder is None else _place(folder).rstrip("/") + "/"
    shown = place[len(inside) :] if inside and place.startswith(inside) else place.rpartition("/")[2]
    return bare_name(shown) + mark


def free_name(recording: Recording, path_of: Callable[[str], str | None]) -> str:
    """The recording's name, or where another has it the first that is free; ``path_of`` tells whose a name is.

    So names depend on the recordings that came before, never on those that come later.
    """
    holder = path_of(recording.name)
    if holder is None:
        return recording.name
    beside = holder != recording.path and bare_name(holder) == bare_name(recording.path)
    return next(name for name in _other_names(recording, beside=beside) if path_of(name) is None)


def _other_names(recording: Recording, *, beside: bool) -> Iterator[str]:
    """The suffix back if only that differs (``a.wav`` beside ``a.flac``); with more parent folders; numbered."""
    mark = part_mark(recording.start_s, recording.end_s)
    parts = _place(recording.path).strip("/").split("/")
    depth = recording.name.count("/") + 1
    if beside:
        yield printable_name("/".join(parts[-depth:])) + mark
    for more in range(depth + 1, len(parts) + 1):
        yield bare_name("/".join(parts[-more:])) + mark
    for number in count(2):
        yield f"{recording.name}-{number}"


def _place(path: str) -> str:
    """Folders and file name; of a URL with its host or bucket, without scheme and query."""
    if not is_url(path):
        return path
    scheme, _, rest = path.partition("://")
    if scheme in ("http", "https"):
        split = urlsplit(path)
        return split.netloc + split.path
    return rest
