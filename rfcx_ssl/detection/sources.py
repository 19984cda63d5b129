"""What to listen to: files, folders, patterns, lists, URLs and the pipe as one stream of recordings in a fixed order.

Nothing is kept per recording: the names in the folder that is being walked are in memory, no more.
"""

import hashlib
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from rfcx_ssl.audio.find import AUDIO_SUFFIXES, is_audio_name, part_mark, walk_audio
from rfcx_ssl.detection.lists import read_list
from rfcx_ssl.detection.patterns import Entry, entries_of, expand, is_pattern, split_pattern
from rfcx_ssl.detection.recordings import Recording, free_name, is_url, name_below
from rfcx_ssl.detection.remote import entries_of_url, look_up, walk_url
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import atomic_path

logger = logging.getLogger(__name__)

PIPE = "-"
LOCAL = "file://"
PIECE_BYTES = 1 << 20


def iter_recordings(
    sources: Sequence[str], lists: Sequence[str] = (), *, spool: Path | None = None
) -> Iterator[Recording]:
    """The recordings of ``sources``, then those of ``lists``, in a fixed order; what is given twice comes twice.

    Args:
        sources: audio files, folders (searched to any depth), patterns (``*``, ``?``, ``[...]``, ``**``), the same as
            URLs of fsspec (https, s3, hf and others; a folder of http ends in a slash), and ``-``: audio from the pipe.
        lists: tables of files and parts of files (:func:`rfcx_ssl.detection.lists.read_list`); ``-`` is the pipe.
        spool: the folder that keeps the audio of the pipe; needed for ``-`` only.

    Raises:
        AudioError: a source does not exist or holds no audio, or a list is wrong, naming the line.
    """
    check_sources(sources, lists)
    for source in (source.removeprefix(LOCAL) for source in sources):
        empty = True
        for recording in _of_source(source, spool):
            empty = False
            yield recording
        if empty:
            raise AudioError(f"{source}: no audio files ({', '.join(sorted(AUDIO_SUFFIXES))})")
    for source in lists:
        yield from _of_list(source)


def check_sources(sources: Sequence[str], lists: Sequence[str] = ()) -> None:
    """Refuse what can be seen to be wrong before anything is listed.

    Raises:
        AudioError: there is nothing to listen to, a local file or list is not there, or the pipe is named twice.
    """
    if not sources and not lists:
        raise AudioError("what to listen to? Name files, folders, patterns or URLs, or a --list of them")
    missing = [source for source in sources if _is_missing(source.removeprefix(LOCAL))]
    missing += [source for source in lists if source != PIPE and not is_url(source) and not Path(source).exists()]
    if missing:
        more = f" ({len(missing)} missing)" if missing[1:] else ""
        raise AudioError(f"{missing[0]}: no such file or folder{more}")
    if [*sources, *lists].count(PIPE) > 1:
        raise AudioError("-: there is one pipe; name it once")


def find_recordings(sources: Sequence[str]) -> list[Recording]:
    """The recordings of ``sources`` with unique names, each once; errors of :func:`iter_recordings`."""
    named: dict[str, Recording] = {}
    paths: set[str] = set()
    for found in iter_recordings(sources):
        if found.path not in paths:
            paths.add(found.path)
            name = free_name(found, lambda name: named[name].path if name in named else None)
            named[name] = replace(found, name=name)
    return list(named.values())


def _is_missing(source: str) -> bool:
    return source != PIPE and not is_url(source) and not Path(source).exists() and not is_pattern(source)


def _of_source(source: str, spool: Path | None) -> Iterator[Recording]:
    if source == PIPE:
        yield _from_pipe(spool)
    elif is_url(source):
        yield from _of_url(source)
    elif Path(source).is_dir():
        yield from _of_folder(_absolute(source))
    elif Path(source).exists():
        yield _of_file(_absolute(source))
    else:
        folder, parts = split_pattern(source)
        base = _absolute(folder)
        for entry in expand(entries_of(base), parts, entries_of):
            if entry.is_folder:
                yield from _of_folder(entry.path, base)
            elif is_audio_name(entry.name):
                yield _of_file(entry.path, base)


def _of_folder(folder: str, base: str | None = None) -> Iterator[Recording]:
    """The audio files below ``folder``, named by their path below ``base`` (the folder itself)."""
    for found in walk_audio(Path(folder)):
        if isinstance(found, OSError):
            logger.warning("%s: folder cannot be listed (%s)", found.filename, found.strerror)
        else:
            yield _of_file(str(found), base or folder)


def _of_file(path: str, base: str | None = None, start_s: float = 0.0, end_s: float | None = None) -> Recording:
    """A local file or a part of it; one that is not there is found to be so when it is listened to."""
    name = name_below(path, base, mark=part_mark(start_s, end_s))
    try:
        status = Path(path).stat()
    except OSError:
        return Recording(name, path, start_s, end_s)
    return Recording(name, path, start_s, end_s, status.st_size, str(status.st_mtime_ns))


def _absolute(path: str | Path) -> str:
    """Without ``.`` and ``..``; links stay as they are, since what they lead to may move."""
    return os.path.normpath(Path(path).absolute())


def _of_url(url: str) -> Iterator[Recording]:
    if is_pattern(url):
        base, parts = split_pattern(url)
        entries: Iterable[Entry] = expand(entries_of_url(base), parts, entries_of_url)
    else:
        base, found = url, look_up(url)
        if not found.is_folder:
            yield _of_entry(found, None)
            return
        entries = [found]
    for entry in entries:
        for file in walk_url(entry) if entry.is_folder else [entry]:
            if is_audio_name(file.name):
                yield _of_entry(file, base)


def _of_entry(entry: Entry, base: str | None) -> Recording:
    return Recording(name_below(entry.path, base), entry.path, size=entry.size, changed=entry.changed)


def _of_list(source: str) -> Iterator[Recording]:
    """The files of a list; relative paths, and names, are those below the folder that the list lies in."""
    folder = Path.cwd() if source == PIPE else Path(source).absolute().parent
    first, any_there = "", False
    for row in read_list(source):
        file = row.file.removeprefix(LOCAL)
        if is_url(file):  # asking the server about every one would take longer than fetching some
            name = name_below(file, mark=part_mark(row.start_s, row.end_s))
            found = Recording(name, file, row.start_s, row.end_s)
            any_there = True
        else:
            found = _of_file(_absolute(folder / file), str(folder), row.start_s, row.end_s)
            any_there = any_there or bool(found.changed)
        first = first or f"{row.where}: {row.file}"
        yield found
    if not any_there:
        raise AudioError(f"{first}: no such file, nor any other of the list" if first else f"{source}: empty list")


def _from_pipe(spool: Path | None) -> Recording:
    """The audio of the pipe, as a file: decoding has to seek. The same audio again is not a change."""
    if spool is None:
        raise ValueError("audio from the pipe needs a folder to keep it in")
    path, digest, size = spool / "stdin", hashlib.sha256(), 0
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        while piece := sys.stdin.buffer.read(PIECE_BYTES):
            size += file.write(piece)
            digest.update(piece)
    if not size:
        path.unlink()
        raise AudioError("-: no audio came through the pipe")
    return Recording("stdin", str(path.absolute()), size=size, changed=digest.hexdigest())
