"""The label tables that a person edits: one for Raven, one for Audacity, both along all clips in a row."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl import finite
from rfcx_ssl.annotations.exchange import RAVEN_BAND, RAVEN_TIMES, audacity_lines, spectrogram_rows
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.review.grammar import NOTE
from rfcx_ssl.review.plan import Item

RAVEN_TABLE, AUDACITY_TABLE = "review.selections.txt", "review.labels.txt"
CLIP_TRACK = "review.clips.txt"
SOUND, CLIPS = "review.wav", "clips"
LABEL, ANSWER, FILE, OFFSET = "Annotation", "Answer", "Begin File", "File Offset (s)"
_COLUMNS = ("Selection", "View", "Channel", *RAVEN_TIMES, *RAVEN_BAND, FILE, OFFSET, LABEL, ANSWER)


class Label(NamedTuple):
    """A label that a person left, moved or added; times in seconds along all clips in a row."""

    source: str  # file:line
    text: str
    start_s: float
    end_s: float
    band_hz: tuple[float, float] | None  # None where none is drawn
    file: str = ""  # in which Raven says that it begins


def raven_text(items: Sequence[Item]) -> str:
    """A selection table whose label column holds the species that are asked about, and an empty column for answers."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter="\t", lineterminator="\n")
    writer.writerow(_COLUMNS)
    for item in items:
        times = (f"{second:.6f}" for second in item.box_s)
        band = (f"{item.low_hz:g}", f"{item.high_hz:g}")
        offset = f"{item.start_s - item.clip_start_s:.6f}"
        writer.writerow((item.question, "Spectrogram 1", 1, *times, *band, item.clip, offset, item.species, ""))
    return text.getvalue()


def audacity_text(items: Sequence[Item]) -> str:
    """A label track with the species that are asked about, and their bands."""
    return "".join(
        f"{item.box_s[0]:.6f}\t{item.box_s[1]:.6f}\t{item.species}\n\\\t{item.low_hz:.1f}\t{item.high_hz:.1f}\n"
        for item in items
    )


def clip_track_text(items: Sequence[Item]) -> str:
    """A label track with the number of each clip, to be shown beside the other one; Audacity exports both as one file."""
    return "".join(f"{item.at_s:.6f}\t{item.at_s + item.clip_s:.6f}\t{NOTE}{item.question}\n" for item in items)


def read_labels(path: Path) -> list[Label]:
    """The labels of a Raven or Audacity table that :func:`raven_text` or :func:`audacity_text` began.

    ``File Offset (s)`` is not read: some programs keep it as it was when a box is moved.

    Raises:
        AnnotationError: naming file and line of a missing column or of what is no number.
    """
    try:
        with path.open(encoding="utf-8-sig") as lines:
            head = lines.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a label table ({error})") from None
    return _read_raven(path) if RAVEN_TIMES[0] in head else _read_audacity(path)


def _read_raven(path: Path) -> list[Label]:
    labels = []
    for line, cells in spectrogram_rows(list(iter_csv(path, (*RAVEN_TIMES, LABEL), _COLUMNS, delimiter="\t"))):
        source = f"{path}:{line}"
        start_s, end_s = (parse_number(source, name, cells[name]) for name in RAVEN_TIMES)
        text, band_hz = cells.get(ANSWER) or cells[LABEL], _raven_band(source, cells)
        labels.append(Label(source, text, start_s, end_s, band_hz, cells.get(FILE, "")))
    return labels


def _raven_band(source: str, cells: Mapping[str, str]) -> tuple[float, float] | None:
    texts = [cells.get(name, "") for name in RAVEN_BAND]
    if not all(texts):
        return None
    low_hz, high_hz = (parse_number(source, name, text) for name, text in zip(RAVEN_BAND, texts, strict=True))
    return low_hz, high_hz


def _read_audacity(path: Path) -> list[Label]:
    labels = []
    for line, cells, band in audacity_lines(path):
        source = f"{path}:{line}"
        start_s, end_s = (parse_number(source, "time", cell) for cell in cells[:2])
        low, high = band
        band_hz = (
            (parse_number(source, "frequency", low), parse_number(source, "frequency", high)) if low and high else None
        )
        labels.append(Label(source, cells[2], start_s, end_s, band_hz))
    return labels


def parse_number(source: str, name: str, text: str) -> float:
    """A cell as a number; :class:`AnnotationError` names its source, ``file:line``."""
    try:
        return finite.parse_number(name, text)
    except ValueError as error:
        raise AnnotationError(f"{source}: {error}") from None
