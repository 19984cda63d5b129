"""The plain table: ``file, start_s, end_s, label``, and what else may be said of a label."""

from collections.abc import Iterator, Mapping

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable
from rfcx_ssl.annotations.rows import is_yes
from rfcx_ssl.errors import AnnotationError

REQUIRED = ("file", "label")
OPTIONAL = ("start_s", "end_s", "low_hz", "high_hz", "state", "songtype", "weight", "annotator", "weak")


def matches(table: LabelTable) -> bool:
    """Whether it names files and labels."""
    return table.columns.issuperset(REQUIRED)


def read(table: LabelTable) -> Iterator[Selection]:
    """Every row; without times it tags the whole recording, with ``weak`` it tags the time between them."""
    for line, cells in table.rows(REQUIRED, OPTIONAL, spelling=True):
        get = cells.get
        start, end = get("start_s", ""), get("end_s", "")
        if bool(start) != bool(end):
            raise AnnotationError(f"{table.path}:{line}: start_s={start!r}, end_s={end!r}: give both or none")
        yield Selection(
            line, cells["label"], start, end, file=cells["file"], low=get("low_hz", ""), high=get("high_hz", ""),
            state=get("state", ""), songtype=get("songtype", ""), weight=get("weight", ""),
            annotator=get("annotator", ""), weak=is_weak(table, line, cells),
        )  # fmt: skip


def is_weak(table: LabelTable, line: int, cells: Mapping[str, str]) -> bool:
    """Whether a row is a tag; :class:`AnnotationError` for what is neither yes nor no."""
    try:
        return is_yes("weak", cells.get("weak", ""))
    except ValueError as error:
        raise AnnotationError(f"{table.path}:{line}: {error}") from None


PLAIN = Kind("plain table", matches, read)
