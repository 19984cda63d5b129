"""Audacity label tracks: ``start<TAB>end<TAB>label``, each maybe followed by ``\\<TAB>low<TAB>high``, without a header.

https://manual.audacityteam.org/man/importing_and_exporting_labels.html
"""

from collections.abc import Iterator

from rfcx_ssl.annotations.exchange import SCORE_AT_THE_END, Selection, parse_audacity
from rfcx_ssl.annotations.kinds.table import Kind, LabelTable


def matches(table: LabelTable) -> bool:
    """Whether the first line starts with two numbers between tabs; an empty ``.txt`` is a track without labels."""
    if not table.first_line:
        return table.path.suffix.lower() == ".txt"
    cells = table.first_line.split("\t")
    return len(cells) > 1 and all(_is_number(cell) for cell in cells[:2])


def read(table: LabelTable) -> Iterator[Selection]:
    """The labels of a track.

    A label may end in a score (``coqui 0.87``, by ``rfcx-ssl detect``) or have one in a fourth cell (BirdNET, which
    writes ``scientific_common`` or ``scientific, common``): then a program wrote it.
    """
    for line, cells, (low, high) in parse_audacity(table.path, table.text):
        label, label_too, score = cells[2].strip(), "", ""
        if len(cells) > 3 and _is_number(cells[3]):
            score = cells[3]
            scientific, mark, common = label.partition("_" if "_" in label else ", ")
            label, label_too = (common, scientific) if mark else (label, "")
        elif found := SCORE_AT_THE_END.search(cells[2]):
            label, label_too, score = cells[2][: found.start()], label, found[1]
        yield Selection(line, label, cells[0], cells[1], label_too=label_too, low=low, high=high, score=score)


def _is_number(text: str) -> bool:
    """Whether this is a number, also one with a comma, which reading refuses with its line."""
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return False
    return True


AUDACITY = Kind("Audacity label track", matches, read)
