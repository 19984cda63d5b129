"""Where boxes of one recording meet or contradict each other."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from rfcx_ssl.annotations.spans import uncovered_s
from rfcx_ssl.annotations.table import Annotations, Event


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Counts over all recordings; docs/labels.md says what happens to each kind."""

    contradicting: int  # present and absent boxes of one species that overlap in time: the present one counts
    same_species: int  # absent boxes of a species that is present at another time of the recording: both count
    crossing: int  # present and absent boxes of different species that overlap in time: both count
    overlapping: int  # present boxes that overlap in time: both count
    tags: int = 0  # tags; an absent box in the window of one of its species only narrows it
    ruled_out: int = 0  # tags whose whole window absent boxes of their species rule out: the boxes count


def find_conflicts(annotations: Annotations) -> Conflicts:
    """Count how boxes of the same recording meet, in a time that grows with the number of boxes, not of pairs."""
    contradicting = same_species = crossing = overlapping = tags = ruled_out = 0
    for name in annotations.recording_ids:
        events = annotations.events(name)
        present = [event for event in events if event.present and not event.weak]
        absent = [event for event in events if not event.present]
        everyone = _Boxes(present)
        overlapping += (sum(map(everyone.met_by, present)) - len(present)) // 2  # each pair twice, and each box itself
        heard = {species: _Boxes(own) for species, own in _by_species(present).items()}
        for event in absent:
            met = heard[event.species_id].met_by(event) if event.species_id in heard else 0
            contradicting += met
            crossing += everyone.met_by(event) - met
            same_species += event.species_id in heard and not met
        tagged = [event for event in events if event.is_tag]
        rejected = _by_species(absent) if tagged else {}
        tags += len(tagged)
        ruled_out += sum(not uncovered_s(rejected.get(t.species_id, ()), t.start_s, t.end_s) for t in tagged)
    return Conflicts(contradicting, same_species, crossing, overlapping, tags, ruled_out)


class _Boxes:
    """Boxes of which one asks how many a stretch of time meets, without looking at each."""

    def __init__(self, boxes: Sequence[Event]) -> None:
        self.starts = sorted(box.start_s for box in boxes)
        self.ends = sorted(box.end_s for box in boxes)

    def met_by(self, event: Event) -> int:
        """Boxes that overlap it in time: those that have begun before it ends, less those that are over by then."""
        return bisect_left(self.starts, event.end_s) - bisect_right(self.ends, event.start_s)


def _by_species(events: Sequence[Event]) -> dict[int, list[Event]]:
    own: dict[int, list[Event]] = {}
    for event in events:
        own.setdefault(event.species_id, []).append(event)
    return own
