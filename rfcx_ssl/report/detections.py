"""index.html of a folder of detections: what was heard, when, how surely, what to listen to first, what could not be read."""

import html
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.files import write_text
from rfcx_ssl.report.detection_counts import MOST_TO_HEAR, Counts, Heard, SpeciesCount, count_detections
from rfcx_ssl.report.markup import heading, paragraph, table, warning
from rfcx_ssl.report.page import frame_page, made_by
from rfcx_ssl.report.svg import bars, heat

RECORD = "detect.json"
Play: TypeAlias = Callable[[str, str], str]  # a clip's path below the folder and its label -> a player
Found: TypeAlias = tuple[Counts, Mapping[str, Any]]
MOST_SPECIES = 60  # in pictures; the table has all
MOST_SITES = 100
MOST_BINS = 60  # of days; with more days several share a bar
MOST_NOTES = 20
NO_CLOCK = (
    "When the recordings were made is not known: neither their names and headers nor a table of recordings "
    "(--recordings) say so."
)
READING = (
    "A detection is a stretch in which a species' score reaches its threshold; a score is no probability unless the model "
    "was calibrated, and a number of detections is no number of animals. Scores of different models are not comparable.",
    "Hours of the day and days are those of the recorder's clock, or of the zone that it states. Their pictures show "
    "detections per hour of listening, so that hours with more recordings do not look busier; within a row the fullest "
    "cell is the row's highest.",
    f"Listen before you believe: the list shows of each species the {MOST_TO_HEAR} recordings in which it scores highest. "
    "If the best is wrong, all probably are.",
)


def write_summary(out: Path, command: str = "") -> Path:
    """Write ``out/index.html`` from the tables of a finished ``rfcx-ssl detect``; returns its path.

    Raises:
        ConfigError: ``out`` has no detect.json or no table of events.
    """
    reading = "".join(map(paragraph, READING))
    title = f"Detections in {out.resolve().name}"
    parts = list(summary_parts(*load_detections(out), _linked))
    path = out / "index.html"
    write_text(path, frame_page(title, parts, reading, made_by(command), files_beside=True))
    return path


def load_detections(out: Path) -> Found:
    """What ``out`` holds, and its detect.json.

    Raises:
        ConfigError: ``out`` has no detect.json or no table of events.
    """
    try:
        record: Mapping[str, Any] = json.loads((out / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{out}: is no folder that rfcx-ssl detect finished: {RECORD} cannot be read ({error})"
        ) from None
    return count_detections(out), record


def _linked(clip: str, label: str) -> str:
    """A player of a file that lies below the page."""
    source = html.escape(quote(clip), quote=True)
    return f"<audio controls preload='none' aria-label='{html.escape(label, quote=True)}' src='{source}'></audio>"


def _duration(seconds: float) -> str:
    """Hours, or minutes of what is short."""
    return f"{seconds / 3600:,.1f} hours" if seconds >= 7200 else f"{seconds / 60:.1f} minutes"


def summary_parts(counts: Counts, record: Mapping[str, Any], play: Play, *, level: int = 2) -> Iterator[str]:
    """Everything of a folder of detections, with headings of ``level``; ``play`` makes a player of a clip and its label."""
    lead = (
        f"{counts.events:,} detections of {len(counts.species)} species in {counts.recordings:,} recordings, "
        f"{_duration(counts.heard_s)}."
    )
    yield paragraph(lead, "lead")
    if counts.num_errors:
        yield warning(f"{counts.num_errors:,} recordings could not be read whole: see below.")
    yield heading("Species", level)
    yield _species_table(counts)
    yield from _times(counts, level)
    if counts.sites:
        yield heading("Sites", level)
        yield _site_table(counts)
    yield from _listening(counts, play, level)
    if counts.num_errors:
        yield heading("What could not be read", level)
        yield table(("file", "problem"), counts.errors)
        more = counts.num_errors - len(counts.errors)
        yield paragraph(f"{more:,} more are in errors.csv.") if more else ""
    yield heading("Settings in force", level)
    notes = [str(note) for note in record.get("warnings", ())]
    yield "".join(f"<p>{html.escape(note)}</p>" for note in notes[:MOST_NOTES])
    yield f"<p>{len(notes) - MOST_NOTES:,} more warnings are in {RECORD}.</p>" if len(notes) > MOST_NOTES else ""
    known = {key: value for key, value in record.items() if key != "warnings"}
    yield f"<details><summary>{RECORD}</summary>{table(('key', 'value'), list(_flat(known)))}</details>"


def _species_table(counts: Counts) -> str:
    headers = ("species", "detections", "recordings", "of all", "best score", "busiest hour", "first day", "last day")
    rows = []
    for name, count in counts.species.items():
        rates = _rates(count, counts)
        hour = f"{max(range(24), key=rates.__getitem__):02d}:00" if any(rates) else "–"  # noqa: RUF001 - an en dash is meant
        share = f"{count.recordings / counts.recordings:.1%}" if counts.recordings else "–"  # noqa: RUF001
        days = (min(count.days), max(count.days)) if count.days else ("–", "–")  # noqa: RUF001
        rows.append((name, f"{count.events:,}", f"{count.recordings:,}", share, f"{count.best:.3f}", hour, *days))
    return table(headers, rows) if rows else "<p>Nothing reached its threshold.</p>"


def _times(counts: Counts, level: int) -> Iterator[str]:
    """Pictures by hour of the day and by day."""
    yield heading("Hours of the day", level)
    if not counts.clocked:
        yield f"<p>{NO_CLOCK}</p>"
        return
    if counts.clocked < counts.recordings:
        yield f"<p>Of {counts.recordings - counts.clocked:,} recordings the clock is not known; they are left out here.</p>"
    hours = [f"{hour:02d}" for hour in range(24)]
    effort = [counts.hours_s[hour] / 3600 for hour in range(24)]
    shown = dict(list(counts.species.items())[:MOST_SPECIES])
    rates = [_rates(count, counts) for count in shown.values()]
    tips = [
        [f"{name}, {h}:00: {count.hours[int(h)]} detections in {effort[int(h)]:.1f} h" for h in hours]
        for name, count in shown.items()
    ]
    if shown:
        yield heat(list(shown), hours, rates, tips, f"Detections per hour of listening: {_peaks(shown, rates)}")
    yield "<p>Hours listened to:</p>"
    yield bars(
        effort,
        hours,
        [f"{h}:00: {e:.1f} h" for h, e in zip(hours, effort, strict=True)],
        "Hours of listening by hour of the day",
    )
    yield heading("Days", level)
    yield from _days(counts, shown)


def _days(counts: Counts, shown: Mapping[str, SpeciesCount]) -> Iterator[str]:
    first, last = (date.fromisoformat(choose(counts.days_s)) for choose in (min, max))
    length = -(-((last - first).days + 1) // MOST_BINS)
    bins = [first + timedelta(days=start) for start in range(0, (last - first).days + 1, length)]
    labels = [day.strftime("%m-%d") for day in bins]

    def binned(days: Mapping[str, float]) -> list[float]:
        sums = [0.0] * len(bins)
        for day, value in days.items():
            place = (date.fromisoformat(day) - first).days // length
            sums[min(max(place, 0), len(bins) - 1)] += value  # an event at midnight may start in the next day
        return sums

    effort_s = binned(counts.days_s)
    events = binned(_sum_of_days(counts))
    what = "day" if length == 1 else f"{length} days"
    about = [
        f"{day}: {n:,.0f} detections in {s / 3600:.1f} h" for day, n, s in zip(bins, events, effort_s, strict=True)
    ]
    busiest = max(range(len(bins)), key=events.__getitem__)
    yield f"<p>Detections of all species, {first} to {last}; a bar is {what}:</p>"
    yield bars(events, labels, about, f"Detections by day from {first} to {last}; most from {about[busiest]}")
    values, tips = [], []
    for name, count in shown.items():
        numbers = binned(count.days)
        values.append([n * 3600 / s if s else 0.0 for n, s in zip(numbers, effort_s, strict=True)])
        tips.append([f"{name}, {day}: {n:,.0f} detections" for day, n in zip(bins, numbers, strict=True)])
    if shown:
        yield heat(
            list(shown), labels, values, tips, f"Detections per hour of listening by {what}, one row per species"
        )


def _listening(counts: Counts, play: Play, level: int) -> Iterator[str]:
    """The surest events of each species, with players where there are clips."""
    if not counts.species:
        return
    yield heading("What to listen to first", level)
    for name, count in list(counts.species.items())[:MOST_SPECIES]:
        rows = "".join(f"<li>{_to_hear(name, event, play)}</li>" for event in count.to_hear)
        yield f"<details><summary>{html.escape(name)}</summary><ol class='hear'>{rows}</ol></details>"
    if len(counts.species) > MOST_SPECIES:
        yield f"<p>The other {len(counts.species) - MOST_SPECIES:,} species are in the table of events.</p>"


def _to_hear(species: str, event: Heard, play: Play) -> str:
    minutes, seconds = divmod(event.start_s, 60)
    when = f", {event.start_time[:19].replace('T', ' ')}" if event.start_time else ""
    place = f"{event.recording} at {minutes:.0f}:{seconds:04.1f}, {event.end_s - event.start_s:.1f} s{when}"
    text = f"<b>{event.score:.3f}</b> {html.escape(place)}"
    if not event.clip:
        return text
    return f"{text}<br>{play(event.clip, f'{species}, {place}')}"


def _site_table(counts: Counts) -> str:
    order = sorted(counts.sites, key=lambda site: (-counts.sites[site]["seconds"], site))
    rows = [
        (site, f"{counts.sites[site]['recordings']:,}", f"{counts.sites[site]['seconds'] / 3600:,.1f}")
        for site in order[:MOST_SITES]
    ]
    more = f"<p>{len(order) - MOST_SITES:,} more sites are in scores.csv.</p>" if len(order) > MOST_SITES else ""
    return table(("site", "recordings", "hours"), rows) + more


def _rates(count: SpeciesCount, counts: Counts) -> list[float]:
    """Detections per hour of listening by hour of the day (24,); 0 where nothing was heard."""
    return [count.hours[h] * 3600 / counts.hours_s[h] if counts.hours_s[h] else 0.0 for h in range(24)]


def _peaks(shown: Mapping[str, SpeciesCount], rates: Sequence[Sequence[float]]) -> str:
    """What the picture shows, in words."""
    found = [(name, max(range(24), key=row.__getitem__)) for name, row in zip(shown, rates, strict=True) if any(row)]
    return ", ".join(f"{name} most at {hour:02d}:00" for name, hour in found[:5]) + (" ..." if found[5:] else "")


def _sum_of_days(counts: Counts) -> dict[str, float]:
    sums: dict[str, float] = {}
    for count in counts.species.values():
        for day, number in count.days.items():
            sums[day] = sums.get(day, 0.0) + number
    return sums


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Keys with dots and values as JSON."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
