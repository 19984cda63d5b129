"""The synthetic test recordings and the complete truth about them."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.metrics.arrays import BoolArray
from rfcx_ssl.species import LabelSpace

TRUTH_COLUMNS = ("recording_id", "split", "species_id", "t_min", "f_min", "t_max", "f_max")


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is in a recording: seconds and hertz."""

    recording_id: str
    species_id: int
    start_s: float
    end_s: float
    f_min_hz: float
    f_max_hz: float


@dataclass(frozen=True)
class TestSet:
    """R recordings whose every call is known."""

    __test__ = False  # not a test class, whatever pytest thinks of the name

    paths: tuple[Path, ...]
    calls: tuple[tuple[Call, ...], ...]  # of each recording, in time order
    species_names: tuple[str, ...]

    @property
    def truth(self) -> BoolArray:
        """(R, S): is the species anywhere in the recording?"""
        present = np.zeros((len(self.paths), len(self.species_names)), dtype=np.bool_)
        for row, calls in enumerate(self.calls):
            present[row, [call.species_id for call in calls]] = True
        return present


def load_test_set(root: Path, space: LabelSpace) -> TestSet:
    """Read ``root/test/*.flac`` and the test rows of ``root/truth.csv``.

    Raises:
        AnnotationError: no recordings or no table, a missing column, a bad value, or a species outside ``space``.
    """
    paths = tuple(sorted((root / "test").glob("*.flac")))
    if not paths:
        raise AnnotationError(f"{root / 'test'}: no .flac recordings; write them with: rfcx-ssl synth {root}")
    by_recording: dict[str, list[Call]] = {path.stem: [] for path in paths}
    for line, call in _read_calls(root / "truth.csv", space.num_species):
        if call.recording_id not in by_recording:
            raise AnnotationError(f"{root / 'truth.csv'}:{line}: no recording test/{call.recording_id}.flac")
        by_recording[call.recording_id].append(call)
    calls = tuple(tuple(sorted(by_recording[path.stem], key=lambda call: call.start_s)) for path in paths)
    return TestSet(paths, calls, space.species_names)


def _read_calls(path: Path, num_species: int) -> Iterator[tuple[int, Call]]:
    """Line number and call of every test row."""
    if not path.is_file():
        raise AnnotationError(f"{path}: missing; complete truth is needed to compare models")
    with path.open(newline="", encoding="utf-8") as lines:
        rows = csv.DictReader(lines)
        missing = sorted(set(TRUTH_COLUMNS) - set(rows.fieldnames or ()))
        if missing:
            raise AnnotationError(f"{path}:1: missing columns {', '.join(missing)}")
        for row in rows:
            if row["split"] == "test":
                yield rows.line_num, _call(row, f"{path}:{rows.line_num}", num_species)


def _call(row: dict[str, str], place: str, num_species: int) -> Call:
    """One checked row."""
    try:
        species = int(row["species_id"])
        start, end, low, high = (float(row[key]) for key in ("t_min", "t_max", "f_min", "f_max"))
    except (TypeError, ValueError) as error:
        raise AnnotationError(f"{place}: {error}") from None
    if not 0 <= species < num_species:
        raise AnnotationError(f"{place}: species_id={species} is not in 0..{num_species - 1}")
    if not (start < end and low < high):
        raise AnnotationError(f"{place}: need t_min < t_max and f_min < f_max, got {start}, {end}, {low}, {high}")
    return Call(row["recording_id"], species, start, end, low, high)
