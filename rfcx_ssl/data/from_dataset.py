"""A ``datasets`` data set of recordings with events, as a folder that ``data=annotations`` reads (``rfcx-ssl init --dataset``).

The data set is what :func:`rfcx_ssl.data.exchange.to_dataset` makes, or anyone's with a column of audio and a column
``events``: a list of structs with ``start_s``, ``end_s`` and ``label``, and any of the plain table's other columns. RFCX's names
(``t_min``, ``f_max`` ...) and ``species`` are understood, too.
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ
from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.audio import require_exact_time
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import atomic_folder, write_csv
from rfcx_ssl.manifest.hub_source import HubSource, audio_bytes, open_stream

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

    A recording is named by the column ``recording_id``, else by its file, else by its place. ``site`` goes into recordings.csv,
    ``complete`` (bool) and ``spans`` (structs with start_s, end_s, species) into complete.csv.

    Raises:
        ManifestError: the data set cannot be opened or fetched.
        AnnotationError: the folder exists; there is no column ``events``, an event without a label, or a name used twice.
        AudioError: a row with events whose MP3 has no exact time.
    """
    if root.exists():
        raise AnnotationError(f"{root} exists: choose a new folder for the data set")
    labels: list[list[Any]] = []
    places: list[list[str]] = []
    spans: list[list[Any]] = []
    with atomic_folder(root) as temporary:
        for number, row in enumerate(open_stream(source)):
            if "events" not in row:
                raise AnnotationError(f"{source.path}: no column events among {', '.join(sorted(row))}")
            path = _write_audio(row, number, temporary, source)
            name = path.relative_to(temporary).as_posix()
            labels += [[name, *_cells(event, source, number)] for event in row["events"] or ()]
            places.append([name, str(row.get("site") or "")])
            spans += [[name, *cells] for cells in _spans(row)]
        write_csv(temporary / LABELS_TABLE, ["file", *EVENT_KEYS], labels)
        write_csv(temporary / RECORDINGS_TABLE, ["file", "site"], places)
        if spans:
            write_csv(temporary / COMPLETE_TABLE, SPAN_COLUMNS, spans)
    return len(places)


def _write_audio(row: Mapping[str, Any], number: int, folder: Path, source: HubSource) -> Path:
    audio = row["audio"]
    file = Path(str(audio.get("path") or "x.flac"))
    name = str(row.get("recording_id") or (file.stem if audio.get("path") else f"{number:08d}"))
    path = folder / f"{name}{file.suffix}"
    if folder.resolve() not in path.resolve().parents:
        raise AnnotationError(f"{source.path}: row {number}: recording_id={name!r} leads out of the folder")
    if path.exists():
        raise AnnotationError(f"{source.path}: row {number}: recording {name!r} is there already")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(audio_bytes(audio))
    if row["events"]:
        require_exact_time(path)
    return path


def _cells(event: Mapping[str, Any], source: HubSource, number: int) -> Iterator[str]:
    """One row of the plain label table."""
    if (event.get("f_min"), event.get("f_max")) == UNKNOWN_BAND_HZ:
        event = {**event, "f_min": None, "f_max": None}
    for column, names in EVENT_KEYS.items():
        value = next((event[name] for name in names if event.get(name) is not None), "")
        if column == "label" and not isinstance(value, str):
            raise AnnotationError(f"{source.path}: row {number}: label={value!r} of an event is not a text")
        if column == "label" and not value:
            raise AnnotationError(f"{source.path}: row {number}: an event has neither label nor species")
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
