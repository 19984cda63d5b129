"""Tables of a whole output folder, from the results of its parts alone, one recording after the other."""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rfcx_ssl.detection.clips import ClipSettings
from rfcx_ssl.detection.recording_table import RecordingTable, open_recording_table
from rfcx_ssl.detection.result import Result
from rfcx_ssl.detection.writers import Writer, open_tables, open_writers
from rfcx_ssl.species.table import SpeciesTable

CLIPS = ClipSettings()
MOST_PROBLEMS = 5  # that are shown


@dataclass(frozen=True)
class ModelFacts:
    """What the tables must know about the model."""

    species: SpeciesTable
    sample_rate_hz: int
    frame_s: float
    window_s: float

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> "ModelFacts":
        """As the plan of a folder has them."""
        species, window_s = SpeciesTable.from_rows(plan["species"]), plan["windows"]["window_s"]
        return cls(species, plan["sample_rate_hz"], plan["frame_s"], window_s)


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


@dataclass(frozen=True)
class Tables:
    """Which tables to write."""

    formats: tuple[str, ...] = ("csv",)  # of events
    saves: frozenset[str] = frozenset()  # what is written beside events and scores
    clips: ClipSettings = CLIPS  # how clips are cut, where they are
    places: Path | None = None  # a table that says where and when recordings were made

    def write(self, results: Iterable[Result], out: Path, facts: ModelFacts) -> Tally:
        """Write every table anew; each is replaced when it is whole."""
        tally = Tally()
        with ExitStack() as stack:
            table = None if self.places is None else stack.enter_context(open_recording_table(self.places))
            writers = [stack.enter_context(writer) for writer in self._writers(out, facts, table)]
            for result in results:
                for writer in writers:
                    writer.add(result)
                tally.add(result)
        return tally

    def are_in(self, out: Path, facts: ModelFacts) -> bool:
        """Whether no table is missing from ``out``."""
        return all(writer.is_there for writer in self._writers(out, facts, None))

    def check(self, facts: ModelFacts, recordings: Iterable[tuple[str, str]]) -> int:
        """Refuse what would fail after all was heard: names of species that a table cannot hold, a table of places that does
        not fit the names and paths of ``recordings``. Returns how many of these it does not have.
        """
        self._writers(Path(), facts, None)
        if self.places is None:
            return 0
        with open_recording_table(self.places) as table:
            return table.check(recordings)

    def _writers(self, out: Path, facts: ModelFacts, table: RecordingTable | None) -> list[Writer]:
        names = facts.species.names
        events = open_writers(
            self.formats,
            out,
            names,
            facts.sample_rate_hz / 2,
            scientific_names=facts.species.scientific_names,
            table=table,
        )
        others = open_tables(
            out,
            names,
            formats=self.formats,
            saves=self.saves,
            window_s=facts.window_s,
            frame_s=facts.frame_s,
            clips=self.clips,
            table=table,
        )
        return [*events, *others]
