"""Tables in RFCX's own columns: species by their position in the project's table, times and band of a box."""

from collections.abc import Iterator

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.kinds.plain import is_weak
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable
from rfcx_ssl.annotations.layout import ABSENT_TABLE, BOX_COLUMNS

OPTIONAL = ("state", "weight", "annotator", "weak")


def matches(table: LabelTable) -> bool:
    """Whether it has boxes of recordings; other columns that are missing are an error."""
    return {"recording_id", "species_id"} <= table.columns and bool({"t_min", "t_max"} & table.columns)


def read(table: LabelTable) -> Iterator[Selection]:
    """Every box, present where nothing else is said, a tag where ``weak`` says yes; ``train_fp.csv`` holds absent ones."""
    state = "absent" if table.path.name == ABSENT_TABLE else ""
    for line, cells in table.rows(BOX_COLUMNS, OPTIONAL, spelling=True):
        get = cells.get
        yield Selection(
            line, "", cells["t_min"], cells["t_max"], file=cells["recording_id"],
            low=cells["f_min"], high=cells["f_max"], species_id=cells["species_id"],
            songtype=cells["songtype_id"], state=get("state") or state, weight=get("weight", ""),
            annotator=get("annotator", ""), weak=is_weak(table, line, cells),
        )  # fmt: skip


RFCX = Kind("table in RFCX's columns", matches, read)
