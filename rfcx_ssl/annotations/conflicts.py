"""Where boxes of one recording meet or contradict each other."""

from dataclasses import dataclass
from itertools import combinations

from rfcx_ssl.annotations.table import Annotations, Event


@dataclass(frozen=True, slots=True)
class Conflicts:
    """Counts over all recordings; docs/labels.md says what happens to each kind."""

    contradicting: int  # present and absent boxes of one species that overlap in time: the present one counts
    same_species: int  # absent boxes of a species that is present at another time of the recording: both count
    crossing: int  # present and absent boxes of different species that overlap in time: both count
    overlapping: int  # present boxes that overlap in time: both count


def find_conflicts(annotations: Annotations) -> Conflicts:
    """Count how boxes of the same recording meet."""
    contradicting = same_species = crossing = overlapping = 0
    for name in annotations.recording_ids:
        events = annotations.events(name)
        present = [event for event in events if event.present]
        overlapping += sum(_overlap(one, other) for one, other in combinations(present, 2))
        for absent in (event for event in events if not event.present):
            same = [event for event in present if event.species_id == absent.species_id]
            met = [event for event in present if _overlap(event, absent)]
            contradicting += sum(event in same for event in met)
            crossing += sum(event not in same for event in met)
            same_species += bool(same) and not any(event in same for event in met)
    return Conflicts(contradicting, same_species, crossing, overlapping)


def _overlap(one: Event, other: Event) -> bool:
    return one.start_s < other.end_s and other.start_s < one.end_s
