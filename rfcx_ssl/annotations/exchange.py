"""What bioacoustics programs and ``rfcx-ssl detect`` write into label tables: names of columns, lines, endings of names."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import name_of_safe

RAVEN_TIMES = ("Begin Time (s)", "End Time (s)")
RAVEN_BAND = ("Low Freq (Hz)", "High Freq (Hz)")
RAVEN_LABELS = ("Annotation", "Species", "Label", "Tag", "Common Name", "Species Code")
RAVEN_PATH, RAVEN_FILE, RAVEN_OFFSET = "Begin Path", "Begin File", "File Offset (s)"
#: Columns of the events that ``rfcx-ssl detect`` finds; an unknown band is empty.
DETECTION_COLUMNS = ("recording", "start_s", "end_s", "species", "score", "f_min", "f_max")
#: Time by the clock at which an event (a recording, a window) starts and ends, and where that was.
CLOCK_COLUMNS = ("start_time", "end_time")
PLACE_COLUMNS = ("site", "latitude", "longitude")
#: What ``rfcx-ssl detect`` puts behind the species in an Audacity label: ``Eleutherodactylus coqui 0.87``.
SCORE_AT_THE_END = re.compile(r"\s(0\.\d\d|1\.00)$")
_TABLE_ENDING = re.compile(
    r"((\.Table\.\d+)?\.selections|\.labels|\.BirdNET\.(results(\.r)?|selection\.table))?(\.txt|\.tsv|\.csv)?$",
    flags=re.IGNORECASE,
)


class Selection(NamedTuple):
    """One row of a label table as text; what is empty was not said."""

    line: int
    label: str
    start: str  # start and end both empty: the whole recording is tagged
    end: str
    file: str = ""  # the recording as the table calls it; empty: the one that the table belongs to
    file_too: str = ""  # another name of it
    label_too: str = ""  # another name of the label, for where the first is unknown
    low: str = ""  # an empty frequency takes the species' usual band
    high: str = ""
    offset: str = ""  # start within the recording, where start and end count over several files
    species_id: str = ""  # instead of a label
    state: str = ""
    songtype: str = ""
    weight: str = ""
    annotator: str = ""
    weak: bool = False  # the species is somewhere between the two times
    score: str = ""  # of a program that wrote the row; a person has none


def recording_of_table(path: Path) -> str:
    """Recording that a table belongs to by its name: ``abc.Table.1.selections.txt`` -> ``abc``."""
    return name_of_safe(_TABLE_ENDING.sub("", path.name, count=1))


def spectrogram_rows(rows: Sequence[tuple[int, dict[str, str]]]) -> Sequence[tuple[int, dict[str, str]]]:
    """Of selections in several views the spectrogram's rows; all where none is a spectrogram's."""
    if any(cells.get("View", "").startswith("Spectrogram") for _, cells in rows):
        return [(line, cells) for line, cells in rows if cells["View"].startswith("Spectrogram")]
    return rows


def audacity_lines(path: Path) -> list[tuple[int, list[str], tuple[str, str]]]:
    """Line number, cells (start, end, label) and band of each label of a track; no bound is an empty text.

    Raises:
        AnnotationError: the file cannot be read, or a line is not three cells between tabs.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from None
    return [(line, cells[:3], band) for line, cells, band in parse_audacity(path, text)]


def parse_audacity(path: Path, text: str) -> list[tuple[int, list[str], tuple[str, str]]]:
    """:func:`audacity_lines` of text that was read already, with all cells of a line; BirdNET adds a fourth."""
    found: list[tuple[int, list[str], tuple[str, str]]] = []
    lines = (
        text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    )  # splitlines() would break labels at rare characters
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if not line.strip():
            continue
        if len(cells) < 3:
            raise AnnotationError(f"{path}:{number}: {line!r} is not start, end and label between tabs")
        if cells[0] != "\\":
            found.append((number, cells, ("", "")))
        elif found:
            low, high = ("" if cell.strip().startswith("-") else cell for cell in cells[1:3])  # -1: no bound was drawn
            found[-1] = (*found[-1][:2], (low, high))
    return found
