"""Raven selection tables, as Raven Pro, Raven Lite, BirdNET and ``rfcx-ssl detect`` save them: tab-separated.

Columns: https://ravensoundsoftware.com/knowledge-base/, "Selection tables".
"""

from collections.abc import Iterable, Iterator

from rfcx_ssl.annotations.exchange import (
    RAVEN_BAND,
    RAVEN_FILE,
    RAVEN_LABELS,
    RAVEN_OFFSET,
    RAVEN_PATH,
    RAVEN_TIMES,
    Selection,
    spectrogram_rows,
)
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable
from rfcx_ssl.errors import AnnotationError

ANNOTATORS = ("Annotator", "Analyst")
OPTIONAL = (
    "View", *RAVEN_BAND, RAVEN_OFFSET, RAVEN_FILE, RAVEN_PATH, *RAVEN_LABELS, "Scientific Name", "Score", "Confidence",
    *ANNOTATORS,
)  # fmt: skip
NOTHING_FOUND = "nocall"  # BirdNET's row for a recording in which it hears nothing


def matches(table: LabelTable) -> bool:
    """Whether the first line has Raven's two times between tabs."""
    return table.delimiter == "\t" and table.columns.issuperset(RAVEN_TIMES)


def read(table: LabelTable) -> Iterator[Selection]:
    """The rows of a selection table.

    The recording is that of ``Begin Path``, else of ``Begin File``, else the one that the table belongs to. The label
    is the first of :data:`RAVEN_LABELS` that the table has. Of a selection in several views, the spectrogram's row
    counts. Where one table spans several files, ``File Offset (s)`` gives the time within each.
    """
    rows = spectrogram_rows(list(table.rows(RAVEN_TIMES, OPTIONAL)))
    if not rows:
        return
    columns = rows[0][1].keys()
    label = next((name for name in RAVEN_LABELS if name in columns), None)
    if label is None:
        raise AnnotationError(f"{table.path}:1: no label column; one of {', '.join(RAVEN_LABELS)} is needed")
    files = {cells.get(RAVEN_PATH) or cells.get(RAVEN_FILE, "") for _, cells in rows}
    if len(files) > 1 and RAVEN_OFFSET not in columns:
        raise AnnotationError(f"{table.path}:1: spans {len(files)} files: the column '{RAVEN_OFFSET}' is needed")
    score = _score_column(columns)
    annotator = next((name for name in ANNOTATORS if name in columns), "")
    for line, cells in rows:
        get = cells.get
        if score and cells[label] == NOTHING_FOUND:
            continue
        yield Selection(
            line, cells[label], cells[RAVEN_TIMES[0]], cells[RAVEN_TIMES[1]],
            file=get(RAVEN_PATH) or get(RAVEN_FILE, ""), file_too=get(RAVEN_FILE, ""),
            label_too=get("Scientific Name", ""), low=get(RAVEN_BAND[0], ""), high=get(RAVEN_BAND[1], ""),
            offset=get(RAVEN_OFFSET, ""), annotator=get(annotator, ""), score=get(score, ""),
        )  # fmt: skip


def _score_column(columns: Iterable[str]) -> str:
    """The column of a program's score: of BirdNET, which names a species three ways, or of ``rfcx-ssl detect``."""
    names = set(columns)
    if {"Common Name", "Species Code", "Confidence"} <= names:
        return "Confidence"
    return "Score" if {"Species", "Score"} <= names else ""


RAVEN = Kind("Raven selection table", matches, read, lambda table: bool(_score_column(table.columns)))
