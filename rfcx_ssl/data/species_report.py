"""What the labels hold of each species: how much, where, at which pitch, how long, and what is too rare to judge."""

from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ, Annotations, Span
from rfcx_ssl.folds import Folds
from rfcx_ssl.species import SpeciesTable

HEADER = (
    "species", "boxes", "tags", "absent", "seconds", "length_s", "recordings", "sites", "complete_h", "band_hz", "note",
)  # fmt: skip


class SpeciesRow(NamedTuple):
    """Labels of one species; None is "not known"."""

    name: str
    boxes: int  # present ones
    tags: int  # weak present labels
    absent: int
    seconds: float  # of the boxes together
    length_s: float | None  # median
    recordings: int  # in which it is present
    sites: int | None
    complete_h: float | None  # hours in which every call of it was marked
    band_hz: tuple[float, float] | None  # lowest and highest edge of the boxes that have a band
    groups: int  # groups of folds in which it is present

    def cells(self, num_folds: int) -> tuple[str, ...]:
        """The row as text; the note says what no fold can validate."""
        lonely = "no labels" if not self.recordings else f"in {self.groups} of {num_folds} folds at most"
        note = "" if self.groups >= num_folds else lonely
        band = "" if self.band_hz is None else f"{self.band_hz[0]:.0f}-{self.band_hz[1]:.0f}"
        numbers = (f"{self.seconds:.1f}", "" if self.length_s is None else f"{self.length_s:.2f}")
        places = (str(self.recordings), "" if self.sites is None else str(self.sites))
        hours = "" if self.complete_h is None else f"{self.complete_h:.2f}"
        return (self.name, str(self.boxes), str(self.tags), str(self.absent), *numbers, *places, hours, band, note)


def species_rows(
    annotations: Annotations,
    folds: Folds,
    species: SpeciesTable,
    *,
    sites: Mapping[str, str],
    durations_s: Mapping[str, float] | None = None,
) -> list[SpeciesRow]:
    """A row for each species of the table, in its order; without durations nothing is known about complete hours."""
    table = annotations.table
    found = dict(list(table.groupby("species_id")))
    hours = None if durations_s is None else _complete_hours(annotations, len(species), durations_s)
    return [
        _row(name, found.get(number, table[:0]), folds, sites, None if hours is None else float(hours[number]))
        for number, name in enumerate(species.names)
    ]


def report(rows: list[SpeciesRow], num_folds: int) -> str:
    """The rows as aligned text that ends in a newline."""
    lines = [HEADER, *(row.cells(num_folds) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADER))]
    text = []
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        cells[0], cells[-1] = line[0].ljust(widths[0]), line[-1]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text) + "\n"


def contradictions(annotations: Annotations, species: SpeciesTable) -> list[str]:
    """One line for each pair of boxes of which one calls a species present and the other absent at one time.

    Tags contradict no absent box: their call may be elsewhere in the window.
    """
    table = annotations.table
    table = table[~(table["weak"] & (table["state"] == "present"))]
    both = table[table.groupby(["recording_id", "species_id"])["state"].transform("nunique") > 1]
    columns = ("recording_id", "species_id", "state", "t_min", "t_max", "source", "annotator")
    labels: dict[tuple[str, int], list[_Said]] = {}
    for name, number, *said in zip(*(both[column].tolist() for column in columns), strict=True):
        labels.setdefault((name, number), []).append(_Said(*said))
    return [
        f"{species.names[number]}: {one} and {other}"
        for (_, number), said in labels.items()
        for one in said
        for other in said
        if one.state == "present" and other.state == "absent" and one.t_min < other.t_max and other.t_min < one.t_max
    ]


class _Said(NamedTuple):
    state: str
    t_min: float
    t_max: float
    source: str
    annotator: str

    def __str__(self) -> str:
        return f"{self.state} by {self.source}{f' ({self.annotator})' if self.annotator else ''}"


def _row(
    name: str, labels: pd.DataFrame, folds: Folds, sites: Mapping[str, str], complete_h: float | None
) -> SpeciesRow:
    present = labels[labels["state"] == "present"]
    boxes = present[~present["weak"]]
    lengths = (boxes["t_max"] - boxes["t_min"]).tolist()
    banded = boxes[(boxes["f_min"] != UNKNOWN_BAND_HZ[0]) | (boxes["f_max"] != UNKNOWN_BAND_HZ[1])]
    heard = set(present["recording_id"])
    return SpeciesRow(
        name,
        boxes=len(boxes),
        tags=len(present) - len(boxes),
        absent=len(labels) - len(present),
        seconds=float(sum(lengths)),
        length_s=median(lengths) if lengths else None,
        recordings=len(heard),
        sites=len({sites[recording] for recording in heard if recording in sites}) if sites else None,
        complete_h=complete_h,
        band_hz=(float(banded["f_min"].min()), float(banded["f_max"].max())) if len(banded) else None,
        groups=len({folds.group_of[recording] for recording in heard if recording in folds.group_of}),
    )


def _complete_hours(
    annotations: Annotations, num_species: int, durations_s: Mapping[str, float]
) -> NDArray[np.float64]:
    """Hours (S,) in which every call of a species was marked; stretches that overlap count once."""
    seconds = np.zeros(num_species)
    for name, spans in annotations.complete.items():
        duration_s = durations_s.get(name, 0.0)
        of_all = [span for span in spans if span.species is None]
        named = {species for span in spans for species in span.species or ()}
        seconds += _covered(of_all, duration_s)
        for species in named:
            own = [span for span in spans if span.species is None or species in span.species]
            seconds[species] += _covered(own, duration_s) - _covered(of_all, duration_s)
    return seconds / 3600


def _covered(spans: list[Span], duration_s: float) -> float:
    total, until = 0.0, 0.0
    for span in sorted(spans, key=lambda span: span.start_s):
        start_s, end_s = max(span.start_s, until), min(span.end_s, duration_s)
        if end_s > start_s:
            total, until = total + end_s - start_s, end_s
    return total
