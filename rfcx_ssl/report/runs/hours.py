"""The label map: which species is marked at which time of the day."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.report.markup import paragraph
from rfcx_ssl.report.svg import bars, heat

MOST_ROWS = 60  # species


def hour_parts(reference: Reference) -> Iterator[str]:
    """Calls per recording by hour of the day; a sentence where no clock is known."""
    clocked = [row for row, moment in enumerate(reference.moments) if moment is not None]
    if not clocked:
        yield paragraph(
            "When the recordings were made is not known: neither recordings.csv (datetime, or date and time) nor their names say so."
        )
        return
    effort = Counter(reference.hours[row] for row in clocked)
    labels = count_labels(reference)
    names = reference.space.species_names
    totals = Counter({species: sum(hours.values()) for species, hours in labels.items()})
    shown = [species for species, total in totals.most_common(MOST_ROWS) if total]
    if len(clocked) < len(reference.moments):
        yield paragraph(
            f"Of {len(reference.moments) - len(clocked):,} recordings the clock is not known; they are left out here."
        )
    hours = [f"{hour:02d}" for hour in range(24)]
    if shown:
        values = [[labels[s][h] / effort[h] if effort[h] else 0.0 for h in range(24)] for s in shown]
        tips = [
            [f"{names[s]}, {h:02d}:00: {labels[s][h]} marked, {effort[h]} recordings begin" for h in range(24)]
            for s in shown
        ]
        peaks = [
            f"{names[s]} most at {max(range(24), key=row.__getitem__):02d}:00"
            for s, row in zip(shown, values, strict=True)
        ]
        told = ", ".join(peaks[:5]) + (" ..." if peaks[5:] else "")
        yield heat(
            [names[s] for s in shown], hours, values, tips, f"Marked calls per recording by hour of the day: {told}"
        )
        yield paragraph(
            "Marked calls by hour of the day, per recording that begins in it; within a row the fullest cell is the row's highest. "
            "A species that is only known to be somewhere in a recording counts once, in the hour it begins.", "note",
        )  # fmt: skip
    else:
        yield paragraph("Nothing is marked in the recordings whose clock is known.")
    counts = [float(effort[hour]) for hour in range(24)]
    yield paragraph("Recordings that begin in each hour:")
    yield bars(counts, hours, [f"{h}:00: {c:.0f} recordings" for h, c in zip(hours, counts, strict=True)],
               "Labelled recordings by the hour of the day in which they begin")  # fmt: skip


def count_labels(reference: Reference) -> dict[int, Counter[int]]:
    """Marked calls by species and hour of the day, of recordings whose clock is known."""
    found: dict[int, Counter[int]] = {}
    for row, moment in enumerate(reference.moments):
        if moment is None:
            continue
        timed = set()
        for call in reference.calls[row]:
            timed.add(call.species_id)
            found.setdefault(call.species_id, Counter())[(moment + timedelta(seconds=call.start_s)).hour] += 1
        for species in np.flatnonzero(reference.truth[row] & reference.known[row]).tolist():
            if species not in timed:
                found.setdefault(species, Counter())[moment.hour] += 1
    return found
