"""Tables of a whole output folder, from the results of its parts alone, one recording after the other."""

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers import open_writers
from rfcx_ssl.species.table import SpeciesTable

MOST_PROBLEMS = 5  # that are shown


@dataclass
class Tally:
    """What a folder holds, counted while its tables are written."""

    recordings: int = 0
    unreadable: int = 0  # recordings that were not heard to their end
    events: int = 0
    audio_s: float = 0.0
    warnings: dict[str, list[Any]] = field(
        default_factory=dict
    )  # the file that each came up first with, and how many had it
    problems: list[str] = field(default_factory=list)  # the first few

    def add(self, result: Result) -> None:
        """Count one recording."""
        self.recordings += 1
        self.events += len(result.events)
        self.audio_s += result.heard_s
        for warning in result.warnings:
            self.warnings.setdefault(warning, [result.path, 0])[1] += 1
        if result.problem is not None:
            self.unreadable += 1
            if len(self.problems) < MOST_PROBLEMS:
                self.problems.append(result.problem)

    def warning_lines(self) -> list[str]:
        """Each warning once, with the first file that it is about and how many more there are."""
        return [
            f"{path}{f' and {count - 1} more' if count > 1 else ''}: {text}"
            for text, (path, count) in self.warnings.items()
        ]


def write_tables(
    results: Iterable[Result], out: Path, formats: Sequence[str], species: SpeciesTable, nyquist_hz: float
) -> Tally:
    """Write every table of ``formats``, scores.csv and errors.csv anew; each is replaced when it is whole."""
    tally = Tally()
    with ExitStack() as stack:
        writers = [stack.enter_context(w) for w in open_writers(formats, out, species.names, nyquist_hz)]
        for result in results:
            for writer in writers:
                writer.add(result.recording, result.events)
            tally.add(result)
    return tally
