"""``events.csv`` of ``rfcx-ssl detect``."""

from collections.abc import Iterator

from rfcx_ssl.annotations.exchange import CLOCK_COLUMNS, DETECTION_COLUMNS, PLACE_COLUMNS, Selection
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable


def matches(table: LabelTable) -> bool:
    """Whether it has the columns of a detection."""
    return table.columns.issuperset(DETECTION_COLUMNS[:4])


def read(table: LabelTable) -> Iterator[Selection]:
    """Every event; one with a score is a program's word."""
    for line, cells in table.rows(
        DETECTION_COLUMNS[:4], (*DETECTION_COLUMNS[4:], *CLOCK_COLUMNS, *PLACE_COLUMNS), spelling=True
    ):
        get = cells.get
        yield Selection(
            line, cells["species"], cells["start_s"], cells["end_s"], file=cells["recording"],
            low=get("f_min", ""), high=get("f_max", ""), score=get("score", ""),
        )  # fmt: skip


DETECTIONS = Kind("events of rfcx-ssl detect", matches, read, lambda _: True)
