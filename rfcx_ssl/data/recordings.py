"""The audio files of a data set, their lengths and sites."""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.audio import audio_info, require_exact_time, resampled_samples
from rfcx_ssl.audio.find import bare_name, find_audio
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.files import iter_csv

logger = logging.getLogger(__name__)

#: Cells by column of each recording in ``recordings.csv``.
RecordingsTable = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Recording:
    """One audio file; ``num_samples`` counts at the sample rate of the corpus, not of the file."""

    recording_id: str
    path: Path
    duration_s: float
    num_samples: int
    site: str | None = None


def audio_by_id(root: Path, folders: Sequence[str]) -> dict[str, Path]:
    """Audio file of each recording id (the file's stem) in ``root``'s folders, searched to any depth.

    The folder named first wins, then the file that comes first by its path.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        for path in find_audio(root / folder):
            found.setdefault(bare_name(path.name), path)
    return found


def sites_of(table: RecordingsTable) -> dict[str, str]:
    """Site of each recording that has one."""
    return {name: site for name, cells in table.items() if (site := cells.get("site"))}


def read_recordings_table(root: Path, find: Callable[[str], str] = str) -> RecordingsTable:
    """Cells by column of each recording in ``recordings.csv``; empty where there is no such table.

    ``find`` tells which recording the cell ``file`` (or ``recording_id``) means; a row about none is passed over.

    Raises:
        AnnotationError: the table has neither column, lists a recording twice, or cannot be read.
    """
    path = root / RECORDINGS_TABLE
    table: dict[str, dict[str, str]] = {}
    for line, cells in iter_csv(path, (), None) if path.is_file() else ():
        if not {"recording_id", "file"} & cells.keys():
            raise AnnotationError(f"{path}:1: missing column recording_id")
        try:
            name = find(cells.get("file") or cells.get("recording_id", ""))
        except ValueError as error:
            logger.info("%s:%d: %s", path, line, error)
            continue
        if name in table:
            raise AnnotationError(f"{path}:{line}: recording {name} is listed twice")
        table[name] = cells
    return table


def open_recordings(
    paths: Mapping[str, Path],
    wanted: Iterable[str],
    sample_rate_hz: int,
    *,
    where: str,
    sites: Mapping[str, str] | None = None,
    untimed: Collection[str] = (),
    allow_missing: bool,
) -> dict[str, Recording]:
    """Headers of the wanted recordings, by id in sorted order.

    Labels in seconds may have been placed with another decoder, so an MP3 that starts an unknown time late is refused,
    unless it is in ``untimed``: without boxes, or with pseudo-labels, which come from the audio as it is decoded here.

    Args:
        paths: the audio files there are, by recording.
        wanted: recordings to open.
        sample_rate_hz: rate at which samples are counted.
        where: the folders that were searched, for messages.
        sites: site of each recording.
        untimed: recordings whose audio needs no exact time.
        allow_missing: whether wanted recordings may have no file.

    Raises:
        AudioError: files are missing and that is not allowed, none is there at all, or a file is unreadable, cut off
            or without exact time.
    """
    names = sorted(set(wanted))
    missing = [name for name in names if name not in paths]
    if missing and (len(missing) == len(names) or not allow_missing):
        raise AudioError(
            f"{len(missing)} of {len(names)} labelled recordings have no audio file in {where} (first: {missing[0]}); "
            "complete the data, or use what is there with data.allow_missing_audio=true"
        )
    found: dict[str, Recording] = {}
    for name in names:
        if name in paths:
            info = audio_info(paths[name])
            if name not in untimed:
                require_exact_time(paths[name])
            samples = resampled_samples(info.frames, info.sample_rate_hz, sample_rate_hz)
            found[name] = Recording(name, paths[name], info.duration_s, samples, (sites or {}).get(name))
    return found
