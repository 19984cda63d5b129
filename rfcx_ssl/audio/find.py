"""Which files are recordings: one list of suffixes, one walk through folders of any depth."""

import os
from collections.abc import Iterator
from pathlib import Path

#: Only names decide what is tried; the content decides what it is (a WAV named .flac is read as WAV).
AUDIO_SUFFIXES = frozenset(
    f".{name}" for name in "flac wav wave wavex ogg oga opus mp3 aif aiff aifc au snd caf w64 rf64 bwf".split()
)
#: Marks a manifest folder: the segments in it are not recordings.
MANIFEST_STATE = Path(".state") / "state.sqlite"


def is_audio_name(name: str) -> bool:
    """Whether a file of this name may be a recording; hidden files (``._x.wav`` of some recorders) are not."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")


def walk_audio(folder: Path, visited: set[tuple[int, int]] | None = None) -> Iterator[Path | OSError]:
    """Audio files below ``folder``, depth first, names sorted; a folder that cannot be listed yields its error.

    Links are followed, but never into a loop: ``visited`` holds (device, inode) of the folders seen so far, and may be
    handed from one walk to the next. Hidden folders and manifest folders are left out.
    """
    visited = set() if visited is None else visited
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        yield error
        return
    if (status.st_dev, status.st_ino) in visited or (folder / MANIFEST_STATE).exists():
        return
    visited.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if _is_folder(entry):
            yield from walk_audio(Path(entry.path), visited)
        elif is_audio_name(entry.name):
            yield Path(entry.path)


def find_audio(folder: Path) -> Iterator[Path]:
    """Audio files below ``folder``, any depth, in a fixed order; a folder that cannot be listed is passed over."""
    return (found for found in walk_audio(folder) if isinstance(found, Path))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that points at itself
        return False
