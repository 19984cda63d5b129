"""Reading what bioacoustics programs and ``rfcx-ssl detect`` write: Raven selection tables, Audacity label tracks, events.csv."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from rfcx_ssl.annotations.label_map import LabelMap
from rfcx_ssl.annotations.rows import check_box
from rfcx_ssl.annotations.table import UNKNOWN_BAND_HZ, Annotations, RowProblem, fail_on_problems
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv

RAVEN_TIMES = ("Begin Time (s)", "End Time (s)")
RAVEN_BAND = ("Low Freq (Hz)", "High Freq (Hz)")
RAVEN_LABELS = ("Annotation", "Species", "Label", "Tag", "Common Name", "Species Code")
RAVEN_FILES = ("Begin File", "Begin Path")
RAVEN_OPTIONAL = ("View", "Selection", *RAVEN_BAND, "File Offset (s)", *RAVEN_FILES, *RAVEN_LABELS)
#: Columns of the events that ``rfcx-ssl detect`` finds; an unknown band is empty.
DETECTION_COLUMNS = ("recording", "start_s", "end_s", "species", "score", "f_min", "f_max")
TABLE_ENDING = r"((\.Table\.\d+)?\.selections|\.labels)?(\.txt|\.tsv)?$"  # of a Raven or Audacity file's name
#: What ``rfcx-ssl detect`` puts behind the species in an Audacity label: ``Eleutherodactylus coqui 0.87``.
SCORE_AT_THE_END = re.compile(r"\s(0\.\d\d|1\.00)$")


class Selection(NamedTuple):
    """One labelled stretch of a file as text; an empty frequency takes the species' usual band."""

    recording_id: str
    label: str
    start: str
    end: str
    low: str = ""
    high: str = ""
    offset: str = ""  # start within the recording, where start and end count over several files


def read_raven(
    path: Path,
    labels: LabelMap,
    *,
    recording_id: str | None = None,
    weight: float = 1.0,
) -> Annotations:
    """Read a Raven selection table (tab-separated, as Raven Pro and Raven Lite save it).

    The recording is the stem of ``Begin File`` (or ``Begin Path``), else ``recording_id``, by default the one in the
    table's own name. The label is the first of :data:`RAVEN_LABELS` that the table has. Of a selection in several
    views, the spectrogram's row counts. Where one table spans several files, ``File Offset (s)`` gives the time
    within each.

    Raises:
        AnnotationError: naming file and line of a missing column, an unknown label or a broken box.
    """
    own_name = recording_id or recording_of_table(path)
    rows = spectrogram_rows(list(iter_csv(path, RAVEN_TIMES, RAVEN_OPTIONAL, delimiter="\t")))
    columns = rows[0][1].keys() if rows else {RAVEN_LABELS[0]}
    label = next((name for name in RAVEN_LABELS if name in columns), None)
    if label is None:
        raise AnnotationError(f"{path}:1: no label column; one of {', '.join(RAVEN_LABELS)} is needed")
    names = {_raven_recording(cells, own_name) for _, cells in rows}
    if len(names) > 1 and "File Offset (s)" not in columns:
        raise AnnotationError(f"{path}:1: spans {len(names)} files: the column 'File Offset (s)' is needed")
    selections = (
        (line, Selection(
            _raven_recording(cells, own_name), cells[label], cells[RAVEN_TIMES[0]], cells[RAVEN_TIMES[1]],
            cells.get(RAVEN_BAND[0], ""), cells.get(RAVEN_BAND[1], ""), cells.get("File Offset (s)", ""),
        ))
        for line, cells in rows
    )  # fmt: skip
    return _annotations(path, selections, labels, weight)


def read_audacity(
    path: Path,
    labels: LabelMap,
    *,
    recording_id: str | None = None,
    weight: float = 1.0,
) -> Annotations:
    """Read an Audacity label track: ``start<TAB>end<TAB>label``, each maybe followed by ``\\<TAB>low<TAB>high``.

    The recording is ``recording_id``, by default the stem of the file's name, without a trailing ``.labels``. A label
    that is unknown as it is may end in a score (``coqui 0.87``), which is left out.

    Raises:
        AnnotationError: naming file and line of a malformed line, an unknown label or a label without length.
    """
    selections = _audacity_selections(path, recording_id or recording_of_table(path), labels)
    return _annotations(path, selections, labels, weight)


def read_detections(path: Path, labels: LabelMap, *, weight: float = 1.0) -> Annotations:
    """Read an ``events.csv`` of ``rfcx-ssl detect`` (:data:`DETECTION_COLUMNS`); its scores are not used.

    Raises:
        AnnotationError: naming file and line of a missing column, an unknown species or a broken box.
    """
    rows = iter_csv(path, DETECTION_COLUMNS[:4], DETECTION_COLUMNS[4:])
    selections = (
        (line, Selection(
            cells["recording"], cells["species"], cells["start_s"], cells["end_s"],
            cells.get("f_min", ""), cells.get("f_max", ""),
        ))
        for line, cells in rows
    )  # fmt: skip
    return _annotations(path, selections, labels, weight)


def recording_of_table(path: Path) -> str:
    """Recording that a table belongs to by its name: ``abc.Table.1.selections.txt`` -> ``abc``."""
    return re.sub(TABLE_ENDING, "", path.name, flags=re.IGNORECASE)


def _raven_recording(cells: Mapping[str, str], own_name: str) -> str:
    for name in RAVEN_FILES:
        if cells.get(name):
            return PureWindowsPath(cells[name]).stem  # takes both kinds of slashes
    return own_name


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
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # splitlines() would break labels at rare characters
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from None
    found: list[tuple[int, list[str], tuple[str, str]]] = []
    for number, line in enumerate(lines, start=1):
        cells = line.split("\t")
        if not line.strip():
            continue
        if len(cells) < 3:
            raise AnnotationError(f"{path}:{number}: {line!r} is not start, end and label between tabs")
        if cells[0] != "\\":
            found.append((number, cells[:3], ("", "")))
        elif found:
            low, high = ("" if cell.strip().startswith("-") else cell for cell in cells[1:3])  # -1: no bound was drawn
            found[-1] = (*found[-1][:2], (low, high))
    return found


def _audacity_selections(path: Path, name: str, labels: LabelMap) -> Iterator[tuple[int, Selection]]:
    for line, (start, end, text), band in audacity_lines(path):
        bare = SCORE_AT_THE_END.sub("", text)
        label = bare if bare in labels and text not in labels else text
        yield line, Selection(name, label, start, end, *band)


def _annotations(
    path: Path, selections: Iterable[tuple[int, Selection]], labels: LabelMap, weight: float
) -> Annotations:
    rows: list[dict[str, Any]] = []
    problems: list[RowProblem] = []
    for line, selection in selections:
        try:
            row = _row(selection, labels, weight)
        except ValueError as error:
            problems.append(RowProblem(f"{path}:{line}", str(error)))
        else:
            if row is not None:
                rows.append({**row, "source": f"{path}:{line}"})
    fail_on_problems(problems)
    return Annotations.from_rows(rows)


def _row(selection: Selection, labels: LabelMap, weight: float) -> dict[str, Any] | None:
    meaning = labels[selection.label]
    if meaning is None:
        return None
    start_s, end_s = _number("begin time", selection.start), _number("end time", selection.end)
    if selection.offset:
        offset_s = _number("file offset", selection.offset)
        start_s, end_s = offset_s, offset_s + end_s - start_s
    call = labels.species.typical_call(meaning.species_id, meaning.songtype_id)
    band_hz = (call.band_hz if call else None) or UNKNOWN_BAND_HZ
    low, high = selection.low.strip(), selection.high.strip()
    row = {
        "recording_id": selection.recording_id,
        "species_id": meaning.species_id,
        "songtype_id": meaning.songtype_id,
        "t_min": start_s,
        "f_min": _number("low frequency", low) if low else band_hz[0],
        "t_max": end_s,
        "f_max": _number("high frequency", high) if high else band_hz[1],
        "state": meaning.state,
        "weight": weight,
    }
    check_box(row, labels.species)
    return row


def _number(name: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is not a number") from None
