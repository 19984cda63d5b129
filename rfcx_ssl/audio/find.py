"""Which files are recordings: one list of suffixes, one walk through folders of any depth, one spelling of names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

#: Only names decide what is tried; the content decides what it is (a WAV named .flac is read as WAV).
AUDIO_SUFFIXES = frozenset(
    f".{name}" for name in "flac wav wave wavex ogg oga opus mp3 aif aiff aifc au snd caf w64 rf64 bwf".split()
)
#: Marks a manifest folder: the segments in it are not recordings.
MANIFEST_STATE = Path(".state") / "state.sqlite"
#: Marks an output folder of detection: the clips in it are not recordings.
DETECTION_LOCK = Path("journal") / "lock"

#: Control characters, and bytes that are not UTF-8 (Python's lone surrogates): no table can hold them.
_UNWRITABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_PART = re.compile(r"@\d+(\.\d+)?-(\d+(\.\d+)?|end)$")


def is_audio_name(name: str) -> bool:
    """Whether a file of this name may be a recording; hidden files (``._x.wav`` of some recorders) are not."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")


def walk_audio(folder: Path, visited: set[tuple[int, int]] | None = None) -> Iterator[Path | OSError]:
    """Audio files below ``folder``, depth first, names sorted; a folder that cannot be listed yields its error.

    Links are followed, but never into a loop: ``visited`` holds (device, inode) of the folders seen so far, and may be
    handed from one walk to the next. Hidden folders, manifest folders and output folders of detection
    are left out.
    """
    visited = set() if visited is None else visited
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield error
        return
    if (status.st_dev, status.st_ino) in visited or is_made(folder):
        return
    visited.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if is_folder(entry):
            yield from walk_audio(Path(entry.path), visited)
        elif is_audio_name(entry.name):
            yield Path(entry.path)


def is_made(folder: Path) -> bool:
    """Whether we made what is in a folder: segments of a manifest, clips of detections."""
    return any(os.path.exists(folder / mark) for mark in (MANIFEST_STATE, DETECTION_LOCK))  # noqa: PTH110 - never raises


def find_audio(folder: Path) -> Iterator[Path]:
    """Audio files below ``folder``, any depth, in a fixed order; a folder that cannot be listed is passed over."""
    return (found for found in walk_audio(folder) if isinstance(found, Path))


def printable_name(text: str) -> str:
    """A path as tables write it: bytes that are not UTF-8, and control characters, as %XX."""
    return _UNWRITABLE.sub(lambda found: "".join(f"%{byte:02X}" for byte in _bytes_of(found[0])), text)


def bare_name(path: str) -> str:
    """A path without its suffix, as tables write it: the name of a recording."""
    return printable_name(PurePosixPath(path).with_suffix("").as_posix())


def part_mark(start_s: float, end_s: float | None) -> str:
    """What follows the name of a file where only a part is meant: ``@10-25.5``, ``@10-end``; nothing for all of it."""
    if start_s == 0 and end_s is None:
        return ""
    return f"@{_seconds(start_s)}-{'end' if end_s is None else _seconds(end_s)}"


def without_part(name: str) -> str:
    """The name of the file that a part (:func:`part_mark`) is of."""
    return _PART.sub("", name)


def _seconds(value: float) -> str:
    text = f"{value:.3f}"
    return text.rstrip("0").rstrip(".")


def _bytes_of(character: str) -> bytes:
    return character.encode("utf-8", "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass")


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether this is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False
