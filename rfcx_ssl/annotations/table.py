"""Annotations in memory: a checked pandas table with a fast look-up by recording."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from rfcx_ssl.annotations.layout import BOX_COLUMNS
from rfcx_ssl.errors import AnnotationError

if TYPE_CHECKING:
    import pandas as pd

# Columns of an annotation table: RFCX's own names, then ours.
COLUMNS = (*BOX_COLUMNS, "state", "weight", "source", "weak", "annotator")
STATES = ("present", "absent")
#: Band of a box whose frequencies nobody gave: all that a recording can hold.
UNKNOWN_BAND_HZ = (0.0, 1e9)
END_TOLERANCE_S = 0.05  # boxes are detector templates rounded to spectrogram columns: they may overhang the last one


class Event(NamedTuple):
    """One box: a species heard (``present``) or ruled out by an expert (not ``present``) between two times."""

    species_id: int
    songtype_id: int
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    present: bool
    weight: float  # in (0, 1]: how much the statement counts
    weak: bool = False  # a tag: the species is somewhere between the two times, and nobody said where

    @property
    def duration_s(self) -> float:
        """Length of the box in seconds."""
        return self.end_s - self.start_s

    @property
    def is_tag(self) -> bool:
        """Whether the species is somewhere between the two times; an absent statement is about all of its time."""
        return self.present and self.weak

    @property
    def has_band(self) -> bool:
        """Whether the frequencies are known."""
        return (self.low_hz, self.high_hz) != UNKNOWN_BAND_HZ


class Span(NamedTuple):
    """A stretch of a recording in which every call was marked: of these species, or of all (None)."""

    start_s: float = 0.0
    end_s: float = math.inf
    species: frozenset[int] | None = None


WHOLE = Span()


class RowProblem(NamedTuple):
    """A broken rule of one row: ``source`` is ``file:line``."""

    source: str
    message: str


def fail_on_problems(problems: Sequence[RowProblem]) -> None:
    """Raise :class:`AnnotationError` for the first problem and say how many more there are."""
    if problems:
        more = f" (and {len(problems) - 1} more wrong rows)" if len(problems) > 1 else ""
        raise AnnotationError(f"{problems[0].source}: {problems[0].message}{more}")


class Annotations:
    """Rows of :data:`COLUMNS`, and the ``complete`` spans of recordings, where whatever is not marked is absent.

    ``table`` is sorted by recording, start time and species; ``state`` is ``"present"`` or ``"absent"``; ``source``
    names the file and line a row came from. ``complete`` are spans by recording, or the ids of recordings that are
    complete from end to end. Instances are never changed in place.
    """

    def __init__(self, table: "pd.DataFrame", complete: Mapping[str, Sequence[Span]] | Iterable[str] = ()) -> None:
        missing = [name for name in COLUMNS if name not in table.columns]
        if missing:
            raise AnnotationError(f"annotations lack the columns {', '.join(missing)}")
        order = ["recording_id", "t_min", "t_max", "species_id", "songtype_id", "state"]
        self.table = table.loc[:, list(COLUMNS)].sort_values(order, kind="stable", ignore_index=True)
        spans = complete if isinstance(complete, Mapping) else dict.fromkeys(complete, (WHOLE,))
        self.complete: Mapping[str, tuple[Span, ...]] = {name: tuple(spans[name]) for name in sorted(spans)}

    @classmethod
    def from_rows(
        cls, rows: Sequence[Mapping[str, Any]], complete: Mapping[str, Sequence[Span]] | Iterable[str] = ()
    ) -> "Annotations":
        """Annotations from plain mappings with the keys of :data:`COLUMNS` (already checked).

        ``weak`` (False) and ``annotator`` (nobody, an empty text) may be missing.
        """
        import pandas as pd  # late: what only needs boxes and spans starts without it

        table = pd.DataFrame([{"weak": False, "annotator": "", **row} for row in rows], columns=list(COLUMNS))
        whole = {"species_id": "int64", "songtype_id": "int64"}
        real = dict.fromkeys(("t_min", "f_min", "t_max", "f_max", "weight"), "float64")
        return cls(table.astype({**whole, **real, "weak": "bool"}), complete)

    @classmethod
    def concat(cls, parts: Sequence["Annotations"]) -> "Annotations":
        """All rows and all ``complete`` spans of ``parts``; exact duplicates of a row or span are kept once.

        Rows that differ only in where they come from, or in who said so, are duplicates.
        """
        import pandas as pd

        if not parts:
            return cls.from_rows([])
        table = pd.concat([part.table for part in parts], ignore_index=True)
        same = [name for name in COLUMNS if name not in ("source", "annotator")]
        complete: dict[str, dict[Span, None]] = {}
        for part in parts:
            for name, spans in part.complete.items():
                complete.setdefault(name, {}).update(dict.fromkeys(spans))
        return cls(table.drop_duplicates(same), {name: tuple(spans) for name, spans in complete.items()})

    def __len__(self) -> int:
        return len(self.table)

    @property
    def recording_ids(self) -> list[str]:
        """Sorted ids of every recording with a row or a ``complete`` flag."""
        return sorted({*self.table["recording_id"], *self.complete})

    def events(self, recording_id: str) -> tuple[Event, ...]:
        """Events of one recording by start time; empty for a recording without rows."""
        return self._by_recording.get(recording_id, ())

    def spans(self, recording_id: str) -> tuple[Span, ...]:
        """Stretches of one recording in which every call was marked."""
        return self.complete.get(recording_id, ())

    def is_complete(self, recording_id: str) -> bool:
        """Whether every call of every species was marked, from end to end."""
        return WHOLE in self.spans(recording_id)

    @property
    def has_negatives(self) -> bool:
        """Whether anything at all is known to be absent."""
        return bool(self.complete) or bool((self.table["state"] == "absent").any())

    def select(self, recording_ids: Iterable[str]) -> "Annotations":
        """The part that concerns the given recordings."""
        wanted = set(recording_ids)
        complete = {name: spans for name, spans in self.complete.items() if name in wanted}
        return Annotations(self.table[self.table["recording_id"].isin(wanted)], complete)

    def outside(self, durations_s: Mapping[str, float]) -> list[RowProblem]:
        """Rows that end after their recording (recordings without a duration are skipped)."""
        problems = []
        columns = (self.table[name].tolist() for name in ("recording_id", "t_max", "source"))
        for recording_id, t_max, source in zip(*columns, strict=True):
            duration_s = durations_s.get(recording_id)
            if duration_s is not None and t_max > duration_s + END_TOLERANCE_S:
                rule = f"t_max={t_max:g} lies outside the recording {recording_id} ({duration_s:g} s)"
                problems.append(RowProblem(source, rule))
        return problems

    def inaudible(self, sample_rate_hz: int) -> dict[int, float]:
        """Species whose present boxes all start above the Nyquist frequency, and the lowest of those starts in Hz."""
        present = self.table[self.table["state"] == "present"]
        lowest: dict[int, float] = {}
        for species, low in zip(present["species_id"].tolist(), present["f_min"].tolist(), strict=True):
            lowest[species] = min(low, lowest.get(species, low))
        return {species: low for species, low in sorted(lowest.items()) if low >= sample_rate_hz / 2}

    @cached_property
    def _by_recording(self) -> dict[str, tuple[Event, ...]]:
        events: dict[str, list[Event]] = {}
        columns = ("species_id", "songtype_id", "t_min", "t_max", "f_min", "f_max", "state", "weight", "weak")
        rows = zip(*(self.table[column].tolist() for column in columns), strict=True)
        for name, row in zip(self.table["recording_id"].tolist(), rows, strict=True):
            species, song, start_s, end_s, low_hz, high_hz, state, weight, weak = row
            event = Event(species, song, start_s, end_s, low_hz, high_hz, state == "present", weight, weak)
            events.setdefault(name, []).append(event)
        return {recording_id: tuple(found) for recording_id, found in events.items()}
