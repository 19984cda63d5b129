"""Patterns of files, expanded here and not by a shell: in a fixed order, one folder in memory at a time."""

import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.audio.find import is_folder, is_made

logger = logging.getLogger(__name__)


class Entry(NamedTuple):
    """What lies in a folder."""

    path: str
    is_folder: bool
    size: int = 0  # bytes; 0 where nobody says
    changed: str = ""  # as in Recording

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rstrip("/").rpartition("/")[2]


def is_pattern(path: str) -> bool:
    """Whether a path holds ``*``, ``?`` or ``[...]``; in an address of http only ``*`` is no part of it."""
    magic = r"\*" if path.startswith(("http://", "https://")) else r"[*?]|\[.+\]"
    return re.search(magic, path) is not None


def split_pattern(pattern: str) -> tuple[str, list[str]]:
    """The folder in front of the first part that is a pattern, and the parts from there on."""
    head, scheme, rest = pattern.rpartition("://")
    parts = rest.split("/")
    fixed = next(place for place, part in enumerate(parts) if is_pattern(head + scheme + part))
    folder = "/".join(parts[:fixed])
    return head + scheme + (folder or ("/" if fixed else ".")), [part for part in parts[fixed:] if part]


def expand(found: Sequence[Entry], parts: Sequence[str], listed: Callable[[str], Sequence[Entry]]) -> Iterator[Entry]:
    """Entries below a folder that holds ``found`` whose path matches ``parts``; ``**`` is any number of folders.

    Hidden files and folders match only what starts with a dot, too. ``listed`` tells what a folder holds, in order.
    """
    head, rest = parts[0], parts[1:]
    if head == "**" and rest:
        yield from expand(found, rest, listed)
    for entry in found:
        if entry.name.startswith(".") and not head.startswith("."):
            continue
        if head == "**":
            if entry.is_folder:
                yield from expand(listed(entry.path), parts, listed)
            elif not rest:
                yield entry
        elif fnmatchcase(entry.name, head):
            if not rest:
                yield entry
            elif entry.is_folder:
                yield from expand(listed(entry.path), rest, listed)


def entries_of(folder: str) -> list[Entry]:
    """What a local folder holds, by name, nothing if we made it; one that cannot be listed holds nothing, which a warning
    says.
    """
    if is_made(Path(folder)):
        return []
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        logger.warning("%s: folder cannot be listed (%s)", folder, error.strerror)
        return []
    return [Entry(entry.path, is_folder(entry) and not _is_loop(entry)) for entry in found]


def _is_loop(entry: os.DirEntry[str]) -> bool:
    """Whether a link leads to a folder that it lies in."""
    return entry.is_symlink() and any(map(Path(entry.path).samefile, Path(entry.path).parents))
