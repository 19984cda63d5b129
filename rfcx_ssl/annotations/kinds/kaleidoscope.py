"""``id.csv``, ``cluster.csv`` and ``meta.csv`` of Kaleidoscope, and the tables that BirdNET-Analyzer writes for it.

Columns: Kaleidoscope Pro's user guide, "Output CSV files": ``INDIR, FOLDER, IN FILE, CHANNEL, OFFSET, DURATION, ...,
AUTO ID*, ..., MANUAL ID*`` (in some versions without the asterisks).
"""

from collections.abc import Iterator, Mapping

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable

REQUIRED = ("IN FILE", "OFFSET", "DURATION")
MANUAL, AUTO, BIRDNET = ("MANUAL ID", "MANUAL ID*"), ("AUTO ID", "AUTO ID*"), ("common_name", "scientific_name")
OPTIONAL = ("INDIR", "FOLDER", *MANUAL, *AUTO, *BIRDNET, "confidence", "MATCH RATIO", "USERID")
NOTHING_FOUND = ("noid", "noise", "")  # what the program writes where it names no species


def matches(table: LabelTable) -> bool:
    """Whether it has Kaleidoscope's file, offset and duration."""
    return table.columns.issuperset(REQUIRED)


def read(table: LabelTable) -> Iterator[Selection]:
    """The manual identification of every row that has one, else the program's own; rows without either are left out."""
    for line, cells in table.rows(REQUIRED, OPTIONAL):
        manual = _first(cells, MANUAL)
        label, label_too = manual or _first(cells, (*AUTO, *BIRDNET)), cells.get("scientific_name", "")
        if not manual and label.lower() in NOTHING_FOUND:
            continue
        score = "" if manual else cells.get("confidence") or cells.get("MATCH RATIO") or "0"
        folders = (cells.get("INDIR", ""), cells.get("FOLDER", ""))
        path = "/".join([*(folder.rstrip("\\/") for folder in folders if folder), cells["IN FILE"]])
        yield Selection(
            line, label, "0", cells["DURATION"], file=path, file_too=cells["IN FILE"], label_too=label_too,
            offset=cells["OFFSET"], annotator=cells.get("USERID", "") if manual else "", score=score,
        )  # fmt: skip


def _first(cells: Mapping[str, str], columns: tuple[str, ...]) -> str:
    return next((cells[name] for name in columns if cells.get(name)), "")


KALEIDOSCOPE = Kind("Kaleidoscope table", matches, read)
