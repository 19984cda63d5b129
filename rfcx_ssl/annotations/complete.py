"""Where every call was marked: lists of recordings, of stretches and of species, and a column of recordings.csv."""

import math
from collections.abc import Callable
from pathlib import Path

from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.annotations.rows import is_yes
from rfcx_ssl.annotations.table import WHOLE, RowProblem, Span, fail_on_problems
from rfcx_ssl.errors import AnnotationError, did_you_mean
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number
from rfcx_ssl.species.table import SpeciesTable

Spans = dict[str, tuple[Span, ...]]
OPTIONAL = ("start_s", "end_s", "species")


def one_id(cell: str) -> str:
    """The recording of a list where ids are the stems of files; ``ValueError`` for a cell with blanks."""
    if " " in cell:
        raise ValueError(f"{cell!r} is not one recording id")
    return cell


def read_complete(path: Path, species: SpeciesTable, find: Callable[[str], str] = one_id) -> Spans:
    """Read ids of complete recordings, one a line, or a table ``file`` with optional ``start_s``, ``end_s``, ``species``.

    In a list, empty lines and lines that start with ``#`` are skipped. In a table, an empty time is the recording's start
    or end, and ``species`` holds names or codes with ``;`` between them, or nothing for all.

    Args:
        path: the list or table.
        species: the project's species.
        find: the recording that a cell means; ``ValueError`` says why there is none.

    Raises:
        AnnotationError: naming file and line of what is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read ({error})") from None
    spans: dict[str, dict[Span, None]] = {}
    problems: list[RowProblem] = []
    is_table = bool(lines) and "file" in [cell.strip() for cell in lines[0].split(",")]
    for line, cells in iter_csv(path, ("file",), OPTIONAL) if is_table else _listed(lines):
        try:
            spans.setdefault(find(cells["file"]), {})[_span(cells, species)] = None
        except ValueError as error:
            problems.append(RowProblem(f"{path}:{line}", str(error)))
    fail_on_problems(problems)
    return {name: tuple(found) for name, found in spans.items()}


def complete_column(root: Path, find: Callable[[str], str] = one_id) -> Spans:
    """Recordings that the column ``complete`` of ``root/recordings.csv`` says yes of; none without such a column.

    Raises:
        AnnotationError: naming file and line of a cell that is neither yes nor no, or of a foreign recording.
    """
    path = root / RECORDINGS_TABLE
    spans: Spans = {}
    problems: list[RowProblem] = []
    for line, cells in iter_csv(path, (), None) if path.is_file() else ():
        try:
            if is_yes("complete", cells.get("complete", "")):
                spans[find(cells.get("file") or cells.get("recording_id", ""))] = (WHOLE,)
        except ValueError as error:
            problems.append(RowProblem(f"{path}:{line}", str(error)))
    fail_on_problems(problems)
    return spans


def _listed(lines: list[str]) -> list[tuple[int, dict[str, str]]]:
    return [
        (number, {"file": text.strip()})
        for number, text in enumerate(lines, 1)
        if text.strip() and not text.startswith("#")
    ]


def _span(cells: dict[str, str], species: SpeciesTable) -> Span:
    start_s, end_s = _seconds(cells, "start_s", 0.0), _seconds(cells, "end_s", math.inf)
    if not 0 <= start_s < end_s:
        raise ValueError(f"start_s={start_s:g} must be from 0 to below end_s={end_s:g}")
    words = [word.strip() for word in cells.get("species", "").split(";") if word.strip()]
    ids = {word: species.id_of(word) for word in words}
    for word, found in ids.items():
        if found is None:
            raise ValueError(f"species {word!r} is unknown{did_you_mean(word, species.names)}")
    return Span(start_s, end_s, frozenset(found for found in ids.values() if found is not None) if words else None)


def _seconds(cells: dict[str, str], name: str, empty: float) -> float:
    text = cells.get(name, "")
    return parse_number(name, text) if text else empty
