"""``events.jsonl`` of ``rfcx-ssl detect``: a JSON object per line, with the columns of ``events.csv`` as keys."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from rfcx_ssl.annotations.exchange import DETECTION_COLUMNS, Selection
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable
from rfcx_ssl.errors import AnnotationError


def matches(table: LabelTable) -> bool:
    """Whether the first line is an object with the keys of a detection."""
    if not table.first_line.startswith("{"):
        return False
    try:
        keys = json.loads(table.first_line).keys()
    except (ValueError, RecursionError):
        return False
    return set(keys).issuperset(DETECTION_COLUMNS[:4])


def read(table: LabelTable) -> Iterator[Selection]:
    """Every event; one with a score is a program's word."""
    for line, text in enumerate(table.text.split("\n"), start=1):
        if text.strip():
            cells = _object(table, line, text)
            yield Selection(
                line, _cell(cells, "species"), _cell(cells, "start_s"), _cell(cells, "end_s"), file=_cell(cells, "recording"),
                low=_cell(cells, "f_min"), high=_cell(cells, "f_max"), score=_cell(cells, "score"),
            )  # fmt: skip


def _object(table: LabelTable, line: int, text: str) -> Mapping[str, Any]:
    try:
        cells: Mapping[str, Any] = json.loads(text)
        missing = [key for key in DETECTION_COLUMNS[:4] if key not in cells]
    except (ValueError, TypeError, RecursionError) as error:
        raise AnnotationError(f"{table.path}:{line}: no JSON object ({error})") from None
    if missing:
        raise AnnotationError(f"{table.path}:{line}: missing key {', '.join(missing)}")
    return cells


def _cell(cells: Mapping[str, Any], key: str) -> str:
    value = cells.get(key)
    return "" if value is None else str(value)


JSON_LINES = Kind("events of rfcx-ssl detect as JSON lines", matches, read, lambda _: True)
