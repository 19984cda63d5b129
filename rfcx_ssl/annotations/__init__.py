"""Annotations: which species was heard, or ruled out, in which box of which recording."""

from rfcx_ssl.annotations.read import read_annotations, read_complete, read_truth_events
from rfcx_ssl.annotations.rows import read_table
from rfcx_ssl.annotations.table import COLUMNS, Annotations, Event, RowProblem, fail_on_problems

__all__ = [
    "COLUMNS",
    "Annotations",
    "Event",
    "RowProblem",
    "fail_on_problems",
    "read_annotations",
    "read_complete",
    "read_table",
    "read_truth_events",
]
