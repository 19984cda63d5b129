"""Find recordings under several roots, in a fixed order, whatever the file system throws at it."""

import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.audio.find import walk_audio
from rfcx_ssl.errors import ManifestError

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
            yield from _walk(root, seen)
        else:
            yield _found(root.path, f"{root.label}/{root.path.name}")


def _walk(root: Root, seen: set[tuple[int, int]]) -> Iterator[Found]:
    for path in walk_audio(root.path, seen):
        if isinstance(path, OSError):
            place = Path(path.filename)
            yield Found(_id(root, place), str(place), 0, 0, f"folder cannot be listed ({path.strerror})")
        else:
            yield _found(path, _id(root, path))


def _id(root: Root, path: Path) -> str:
    """The root's label and the path below it."""
    return "/".join([root.label, *path.relative_to(root.path).parts])


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
    problem = "" if stat.S_ISREG(status.st_mode) else "is not a regular file"
    return Found(recording_id, text, status.st_size, status.st_mtime_ns, problem)
