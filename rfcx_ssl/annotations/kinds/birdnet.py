"""Comma-separated results of BirdNET-Analyzer (``rtype`` csv and r); its Raven and Audacity tables are of those kinds.

Columns: ``birdnet_analyzer/analyze`` of https://github.com/birdnet-team/BirdNET-Analyzer.
"""

from collections.abc import Iterator

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable

# start, end, scientific name, common name, confidence; file
CSV = ("Start (s)", "End (s)", "Scientific name", "Common name", "Confidence")
R = ("start", "end", "scientific_name", "common_name", "confidence")


def matches(table: LabelTable) -> bool:
    """Whether it has the columns of either form."""
    return table.columns.issuperset(CSV) or table.columns.issuperset((*R, "filepath"))


def read(table: LabelTable) -> Iterator[Selection]:
    """Every row, a program's word; without a file column the recording is that of the table's name."""
    columns, file = (CSV, "File") if table.columns.issuperset(CSV) else (R, "filepath")
    for line, cells in table.rows(columns, (file,)):
        start, end, scientific, common, score = (cells[name] for name in columns)
        yield Selection(line, common, start, end, file=cells.get(file, ""), label_too=scientific, score=score)


BIRDNET = Kind("BirdNET table", matches, read, lambda _: True)
