"""A ``datasets`` data set of recordings with events, as a folder that ``data=annotations`` reads (``rfcx-ssl init --dataset``).

The data set is what :func:`rfcx_ssl.data.exchange.to_dataset` makes, or anyone's with a column of audio and a column
``events``: a list of structs with ``start_s``, ``end_s`` and ``label``, and any of the plain table's other columns. RFCX's names
(``t_min``, ``f_max`` ...) and ``species`` are understood, too.
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ
from rfcx_ssl.annotations.layout import QUARANTINE_TABLE, RECORDINGS_TABLE
from rfcx_ssl.audio import audio_info, require_exact_time
from rfcx_ssl.audio.find import AUDIO_SUFFIXES
from rfcx_ssl.errors import AnnotationError, AudioError
from rfcx_ssl.files import atomic_folder, safe_name, write_csv
from rfcx_ssl.manifest.hub_source import HubSource, RowError, audio_bytes, open_stream

logger = logging.getLogger(__name__)

#: Column of the plain label table -> the names that an event may have for it.
EVENT_KEYS = {
    "start_s": ("start_s", "t_min"),
    "end_s": ("end_s", "t_max"),
    "label": ("label", "species"),
    "low_hz": ("low_hz", "f_min"),
    "high_hz": ("high_hz", "f_max"),
    "state": ("state",),
    "songtype": ("songtype", "songtype_id"),
    "weight": ("weight",),
    "annotator": ("annotator",),
    "weak": ("weak",),
}
LABELS_TABLE, COMPLETE_TABLE = "labels.csv", "complete.csv"
SPAN_COLUMNS = ("file", "start_s", "end_s", "species")  # of a table for data.complete_file


def write_recordings(source: HubSource, root: Path) -> int:
    """Stream a data set into a new folder: audio files, labels.csv, recordings.csv and complete.csv; returns recordings.

    A recording is named by the column ``recording_id``, else by its file, else by its place, through
    :func:`rfcx_ssl.files.safe_name`. ``site`` goes into recordings.csv, ``complete`` (bool) and ``spans`` (structs with start_s,
    end_s, species) into complete.csv. A row that cannot be used goes into quarantine.csv, and the others are written.

    Raises:
        ManifestError: the data set cannot be opened or fetched.
        AnnotationError: the folder exists, there is no column ``events``, or no row can be used.
    """
    if root.exists():
        raise AnnotationError(f"{root} exists: choose a new folder for the data set")
    labels: list[list[Any]] = []
    places: list[list[str]] = []
    spans: list[list[Any]] = []
    left_out: list[tuple[int, str, str]] = []
    with atomic_folder(root) as temporary:
        for number, row in enumerate(open_stream(source)):
            if "events" not in row:
                raise AnnotationError(f"{source.path}: no column events among {', '.join(sorted(row))}")
            name = _name(row, number)
            try:
                cells = [[name, *_cells(event)] for event in row["events"] or ()]
                stretches = [[name, *span] for span in _spans(row)]
                _write_audio(row, temporary / name, source)
            except (RowError, AnnotationError, AudioError) as error:
                left_out.append((number, name, str(error).replace(str(temporary), str(root))))
                continue
            labels += cells
            spans += stretches
            places.append([name, str(row.get("site") or "")])
        if left_out:
            write_csv(temporary / QUARANTINE_TABLE, ["row", "file", "reason"], left_out)
            _say(left_out, source, root)
        if not places:
            raise AnnotationError(
                f"{source.path}: no row can be used" + (f", first {left_out[0][2]}" if left_out else "")
            )
        write_csv(temporary / LABELS_TABLE, ["file", *EVENT_KEYS], labels)
        write_csv(temporary / RECORDINGS_TABLE, ["file", "site"], places)
        if spans:
            write_csv(temporary / COMPLETE_TABLE, SPAN_COLUMNS, spans)
    return len(places)


def _say(left_out: Sequence[tuple[int, str, str]], source: HubSource, root: Path) -> None:
    number, _, reason = left_out[0]
    logger.warning(
        "%s: %d rows left out, first row %d: %s; %s has all",
        source.path, len(left_out), number, reason, root / QUARANTINE_TABLE,
    )  # fmt: skip


def _name(row: Mapping[str, Any], number: int) -> str:
    """The file of a row below the folder; its content decides what it is, so another suffix than one of audio says nothing."""
    file = PurePosixPath(str((row["audio"] or {}).get("path") or ""))
    name = str(row.get("recording_id") or file.stem or f"{number:08d}")
    suffix = file.suffix.lower() if file.suffix.lower() in AUDIO_SUFFIXES else ".flac"
    return safe_name(name) + suffix


def _write_audio(row: Mapping[str, Any], path: Path, source: HubSource) -> None:
    if row["audio"] is None:
        raise RowError("has no audio")
    if path.exists():
        raise RowError(f"recording {path.stem!r} is there already")
    data = audio_bytes(row["audio"], source)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        (require_exact_time if row["events"] else audio_info)(path)
    except AudioError:
        path.unlink()
        raise


def _cells(event: Mapping[str, Any]) -> Iterator[str]:
    """One row of the plain label table."""
    if (event.get("f_min"), event.get("f_max")) == UNKNOWN_BAND_HZ:
        event = {**event, "f_min": None, "f_max": None}
    for column, names in EVENT_KEYS.items():
        value = next((event[name] for name in names if event.get(name) is not None), "")
        if column == "label" and not isinstance(value, str):
            raise AnnotationError(f"label={value!r} of an event is not a text")
        if column == "label" and not value:
            raise AnnotationError("an event has neither label nor species")
        if column == "weak":
            value = "yes" if value else "no"
        yield str(value)


def _spans(row: Mapping[str, Any]) -> Iterator[list[Any]]:
    """Stretches in which all was marked; a row that is complete has one without ends."""
    if row.get("complete"):
        yield ["", "", ""]
        return
    for span in row.get("spans") or ():
        end_s = span.get("end_s")
        is_open = end_s is None or math.isinf(end_s)
        yield [span.get("start_s") or "", "" if is_open else end_s, ";".join(span.get("species") or ())]
