"""Find recordings under several roots, in a fixed order, whatever the file system throws at it."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.errors import ManifestError

#: Only names decide what is tried; the content decides what it is (a WAV named .flac is read as WAV).
AUDIO_SUFFIXES = frozenset(
    "flac wav wave wavex ogg oga opus mp3 aif aiff aifc au snd caf w64 rf64 bwf".split(),
)
#: Control characters, and bytes that are not UTF-8 (Python's lone surrogates): neither fits into a table.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_LABELLED = re.compile(r"(?P<label>[\w.-]+)=(?P<path>.+)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Root:
    """A folder (or one file) of recordings; ``label`` starts the ids of its recordings."""

    label: str
    path: Path


@dataclass(frozen=True, slots=True)
class Found:
    """One file that may be a recording, or a place that could not be looked into (``problem``)."""

    recording_id: str
    path: str
    size_bytes: int
    mtime_ns: int
    problem: str = ""


def parse_roots(arguments: Sequence[str]) -> list[Root]:
    """``DIR``, ``FILE`` or ``LABEL=DIR``; the label defaults to the folder's name and must be unique.

    Raises:
        ManifestError: a path that does not exist, or two roots of one label.
    """
    roots: list[Root] = []
    for argument in arguments:
        match = None if Path(argument).exists() else _LABELLED.fullmatch(argument)
        path = Path(match["path"] if match else argument)
        if not path.exists():
            raise ManifestError(f"{path}: no such folder or file")
        path = path.resolve()
        label = match["label"] if match else (path.name if path.is_dir() else path.parent.name) or "root"
        taken = next((root for root in roots if root.label == label), None)
        if taken and (taken.path.is_dir() or path.is_dir()):
            raise ManifestError(f"{path} and {taken.path} are both labelled {label!r}; write one as LABEL={path}")
        roots.append(Root(label, path))
    return roots


def find_recordings(roots: Sequence[Root]) -> Iterator[Found]:
    """Every audio file under ``roots``, following links but never into a loop; a file seen twice counts once."""
    seen: set[tuple[int, int]] = set()
    for root in roots:
        if root.path.is_dir():
            yield from _walk(root.path, root.label, seen)
        else:
            yield _found(root.path, f"{root.label}/{root.path.name}")


def _walk(folder: Path, recording_id: str, visited: set[tuple[int, int]]) -> Iterator[Found]:
    """Depth first, names sorted; ``visited`` holds (device, inode) of folders and linked files, so loops end."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield Found(recording_id, str(folder), 0, 0, f"folder cannot be listed ({error.strerror})")
        return
    if (status.st_dev, status.st_ino) in visited:
        return
    if (folder / ".state" / "state.sqlite").exists():  # a manifest folder: its segments are not recordings
        return
    visited.add((status.st_dev, status.st_ino))
    for entry in entries:
        name = f"{recording_id}/{entry.name}"
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from _walk(Path(entry.path), name, visited)
        elif entry.name.rpartition(".")[2].lower() in AUDIO_SUFFIXES:
            yield _found(Path(entry.path), name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False


def _found(path: Path, recording_id: str) -> Found:
    text = str(path)
    if _UNWRITABLE.search(text):
        safe = text.encode("utf-8", "backslashreplace").decode().encode("unicode_escape").decode()
        shown = recording_id.encode("utf-8", "backslashreplace").decode().encode("unicode_escape").decode()
        return Found(shown, safe, 0, 0, "the name holds control characters or is not UTF-8; rename it")
    try:
        status = path.stat()
    except OSError as error:
        return Found(recording_id, text, 0, 0, f"cannot be opened ({error.strerror})")
    return Found(recording_id, text, status.st_size, status.st_mtime_ns)
