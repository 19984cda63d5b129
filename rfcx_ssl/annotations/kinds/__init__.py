"""Kinds of label tables, each one file; the kind of a table is seen from its first line."""

from rfcx_ssl.annotations.kinds.audacity import AUDACITY
from rfcx_ssl.annotations.kinds.birdnet import BIRDNET
from rfcx_ssl.annotations.kinds.detections import DETECTIONS
from rfcx_ssl.annotations.kinds.json_lines import JSON_LINES
from rfcx_ssl.annotations.kinds.kaleidoscope import KALEIDOSCOPE
from rfcx_ssl.annotations.kinds.plain import PLAIN
from rfcx_ssl.annotations.kinds.raven import RAVEN
from rfcx_ssl.annotations.kinds.rfcx import RFCX
from rfcx_ssl.annotations.kinds.table import TABLE_SUFFIXES, Kind, LabelTable

#: In the order in which they are tried.
KINDS = (JSON_LINES, RAVEN, PLAIN, DETECTIONS, BIRDNET, KALEIDOSCOPE, RFCX, AUDACITY)


def kind_of(table: LabelTable) -> Kind | None:
    """The first kind whose head this is; None for what is no label table."""
    return next((kind for kind in KINDS if kind.matches(table)), None)


__all__ = ["KINDS", "RFCX", "TABLE_SUFFIXES", "Kind", "LabelTable", "kind_of"]
