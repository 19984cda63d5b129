"""Stretches of time: the ``complete`` spans of a recording, joined, for all species or some; what boxes leave open."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rfcx_ssl.annotations.table import END_TOLERANCE_S, WHOLE, Annotations, Event, Span

Stretch = tuple[float, float]  # (start_s, end_s)
EVERYWHERE: Stretch = (-math.inf, math.inf)


class Marked(NamedTuple):
    """Species that were marked in the same stretches of a recording."""

    species: tuple[int, ...] | None  # None: all species that no other entry names
    stretches: tuple[Stretch, ...]  # apart from each other and in order; (-inf, inf) for the whole recording


def marked(spans: Sequence[Span]) -> list[Marked]:
    """What the spans of a recording say together: the entry for all species first, if any, then those that say more."""
    common = [span for span in spans if span.species is None]
    named: dict[int, list[int]] = {}  # species -> positions of the spans that name it
    for position, span in enumerate(spans):
        for species in span.species or ():
            named.setdefault(species, []).append(position)
    alike: dict[tuple[int, ...], list[int]] = {}
    for species, positions in sorted(named.items()):
        alike.setdefault(tuple(positions), []).append(species)
    groups = [Marked(tuple(species), joined([*common, *(spans[i] for i in own)])) for own, species in alike.items()]
    return [Marked(None, joined(common)), *groups] if common else groups


def joined(spans: Iterable[Span]) -> tuple[Stretch, ...]:
    """The union of spans. One that starts with its recording starts at -inf: there is nothing before it."""
    stretches: list[Stretch] = []
    for start_s, end_s in sorted((-math.inf if span.start_s <= 0 else span.start_s, span.end_s) for span in spans):
        if stretches and start_s <= stretches[-1][1]:
            stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end_s))
        else:
            stretches.append((start_s, end_s))
    return tuple(stretches)


def uncovered_s(boxes: Sequence[Event], start_s: float, end_s: float) -> float:
    """Seconds of ``[start_s, end_s)`` that none of the boxes covers."""
    left_s, reached_s = 0.0, start_s
    for box in sorted(boxes, key=lambda box: box.start_s):
        left_s += max(0.0, min(box.start_s, end_s) - reached_s)
        reached_s = max(reached_s, box.end_s)
    return left_s + max(0.0, end_s - reached_s)


def all_marked_somewhere(spans: Sequence[Span], num_species: int) -> bool:
    """Whether there is a moment of the recording at which every species was marked."""
    groups = marked(spans)
    if groups and groups[0].species is None:
        return True
    if sum(len(group.species or ()) for group in groups) < num_species:
        return False
    starts = [start_s for group in groups for start_s, _ in group.stretches]
    return any(all(any(a <= t < b for a, b in group.stretches) for group in groups) for t in starts)


def fit_to_recordings(annotations: Annotations, durations_s: Mapping[str, float]) -> Annotations:
    """The same with what is said of "the rest of the recording" in one form, whatever it was stated in.

    Spans that reach the end of their recording are open (inf), and those of all species are joined: whole recordings
    are known as such. Rows that are open (a tag of a whole recording) end with their recording.
    """
    fitted = {name: _fit(spans, durations_s.get(name, math.inf)) for name, spans in annotations.complete.items()}
    table = annotations.table
    if (is_open := table["t_max"] == math.inf).any():
        ends_s = table["recording_id"].map(durations_s).fillna(math.inf)
        table = table.assign(t_max=table["t_max"].where(~is_open, ends_s))
    return Annotations(table, fitted)


def _fit(spans: Sequence[Span], duration_s: float) -> tuple[Span, ...]:
    reaches = duration_s - END_TOLERANCE_S
    opened = [span._replace(end_s=math.inf) if span.end_s >= reaches else span for span in spans]
    common = [Span(max(0.0, start_s), end_s) for start_s, end_s in joined(s for s in opened if s.species is None)]
    return (WHOLE,) if WHOLE in common else (*common, *(span for span in opened if span.species is not None))
