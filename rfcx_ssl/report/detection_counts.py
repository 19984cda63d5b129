"""What a finished folder of detections holds, counted in one pass over its tables: sums only, whatever their length."""

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from rfcx_ssl.annotations.exchange import CLOCK_COLUMNS, DETECTION_COLUMNS
from rfcx_ssl.detection.writers.clips import COLUMNS as CLIP_COLUMNS
from rfcx_ssl.detection.writers.tables import ERROR_COLUMNS, SCORE_COLUMNS
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import iter_rows

TABLES = ("events.parquet", "events.csv", "events.jsonl")
MOST_ERRORS = 20  # listed; the others are counted
MOST_TO_HEAR = 5  # recordings of each species
_BATCH_ROWS = 20_000
_EVENT_COLUMNS = (*DETECTION_COLUMNS[:5], CLOCK_COLUMNS[0])


class Heard(NamedTuple):
    """An event to listen to; ``clip`` is its file below the folder."""

    score: float
    recording: str
    start_s: float
    end_s: float
    start_time: str
    clip: str = ""


@dataclass
class SpeciesCount:
    """What was heard of one species."""

    events: int = 0
    recordings: int = 0
    best: float = 0.0
    hours: Counter[int] = field(default_factory=Counter)  # events by hour of the day, where the clock is known
    days: Counter[str] = field(default_factory=Counter)  # by ISO date
    to_hear: list[Heard] = field(default_factory=list)  # the surest event of each recording, the highest scores first


@dataclass
class Counts:
    """All that the page says; effort is in seconds heard, and by the clock where that is known."""

    species: dict[str, SpeciesCount] = field(default_factory=dict)
    recordings: int = 0
    heard_s: float = 0.0
    clocked: int = 0  # recordings whose clock is known
    hours_s: defaultdict[int, float] = field(default_factory=lambda: defaultdict(float))
    days_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    sites: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # recordings, seconds
    errors: list[tuple[str, str]] = field(default_factory=list)  # the first files and why
    num_errors: int = 0

    @property
    def events(self) -> int:
        """Of all species."""
        return sum(count.events for count in self.species.values())


def count_detections(out: Path) -> Counts:
    """Read the tables of ``out`` once.

    Raises:
        ConfigError: there is no table of events.
        AnnotationError: a table is damaged.
    """
    counts = Counts()
    _count_events(out, counts)
    _count_effort(out / "scores.csv", counts)
    for row in _csv_rows(out / "errors.csv", ERROR_COLUMNS):
        counts.num_errors += 1
        if len(counts.errors) < MOST_ERRORS:
            counts.errors.append((row["file"], row["error"]))
    _add_clips(out / "clips.csv", counts)
    return counts


def _count_events(out: Path, counts: Counts) -> None:
    species: defaultdict[str, SpeciesCount] = defaultdict(SpeciesCount)
    best: defaultdict[str, list[tuple[float, int, Heard]]] = defaultdict(list)
    for place, (_, rows) in enumerate(groupby(_events(out), key=lambda row: row["recording"])):
        of_recording: dict[str, Heard] = {}
        for row in rows:
            name, event = row["species"], _heard(row)
            count = species[name]
            count.events += 1
            if event.start_time:
                count.days[event.start_time[:10]] += 1
                count.hours[int(event.start_time[11:13])] += 1
            if name not in of_recording or event.score > of_recording[name].score:
                of_recording[name] = event
        for name, event in of_recording.items():
            species[name].recordings += 1
            entry = (event.score, -place, event)  # of equals the first
            heapq.heappush(best[name], entry)
            if len(best[name]) > MOST_TO_HEAR:
                heapq.heappop(best[name])
    for name, entries in best.items():
        species[name].to_hear = [event for *_, event in sorted(entries, reverse=True)]
        species[name].best = species[name].to_hear[0].score
    order = sorted(species, key=lambda name: (-species[name].events, name))
    counts.species = {name: species[name] for name in order}


def _count_effort(path: Path, counts: Counts) -> None:
    for row in _csv_rows(path, SCORE_COLUMNS, (*CLOCK_COLUMNS, "site")):
        seconds = float(row["heard_s"])
        counts.recordings += 1
        counts.heard_s += seconds
        if row.get("site"):
            counts.sites[row["site"]].update({"recordings": 1, "seconds": round(seconds)})
        if row.get("start_time") and row.get("end_time"):
            counts.clocked += 1
            start, end = (datetime.fromisoformat(row[name]) for name in CLOCK_COLUMNS)
            for moment, part_s in _by_hour(start, end):
                counts.hours_s[moment.hour] += part_s
                counts.days_s[moment.date().isoformat()] += part_s


def _by_hour(start: datetime, end: datetime) -> Iterator[tuple[datetime, float]]:
    """A stretch of time cut at full hours."""
    while start < end:
        stop = min(start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1), end)
        yield start, (stop - start).total_seconds()
        start = stop


def _add_clips(path: Path, counts: Counts) -> None:
    """Put the clips' files to the events that are to be heard."""
    wanted = {(e.recording, name, e.start_s): e for name, count in counts.species.items() for e in count.to_hear}
    for row in _csv_rows(path, CLIP_COLUMNS):
        key = row["recording"], row["species"], float(row["start_s"])
        if key in wanted:
            wanted[key] = wanted[key]._replace(clip=row["file"])
    for name, count in counts.species.items():
        count.to_hear = [wanted[e.recording, name, e.start_s] for e in count.to_hear]


def _heard(row: Mapping[str, Any]) -> Heard:
    start_s, end_s, score = (float(row[key]) for key in ("start_s", "end_s", "score"))
    return Heard(round(score, 4), row["recording"], start_s, end_s, row.get("start_time") or "")


def _events(out: Path) -> Iterator[Mapping[str, Any]]:
    """Events of the table that was written last; of equally old ones the one that is fastest to read."""
    tables = [out / name for name in TABLES if (out / name).is_file()]
    if not tables:
        raise ConfigError(f"{out}: has none of {', '.join(TABLES)}: a summary needs --format csv, parquet or jsonl")
    path = max(tables, key=lambda path: path.stat().st_mtime)
    if path.suffix == ".parquet":
        yield from _parquet_rows(path)
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as lines:
            yield from map(json.loads, lines)
    else:
        yield from _csv_rows(path, _EVENT_COLUMNS)


def _parquet_rows(path: Path) -> Iterator[Mapping[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(_BATCH_ROWS, columns=list(_EVENT_COLUMNS)):
            yield from batch.to_pylist()


def _csv_rows(path: Path, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> Iterator[dict[str, str]]:
    """Rows of one of our tables; none where it is not there."""
    with suppress(FileNotFoundError), path.open(encoding="utf-8", newline="") as lines:
        for _, cells in iter_rows(path, lines, required, optional, spelling=False):
            yield cells
