"""Label budgets: which labelled recordings training may learn from; a smaller budget lies inside every larger one.

Every labelled recording stands for one stratum (:func:`strata`), so that none is counted twice. Within a stratum the
recordings stand in a random order that depends on the seed and on their own ids alone: a recording that joins or leaves
never shuffles the others. A budget takes the first ones of each stratum (docs/labels.md).
"""

import csv
import hashlib
import io
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from rfcx_ssl.annotations import Annotations
from rfcx_ssl.data.settings import DataSettings

Call = tuple[int, int]  # species_id, songtype_id


class Stratum(NamedTuple):
    """What a recording stands for."""

    state: str  # present; absent where nothing is present in it; silent where it is complete and has no box at all
    species_id: int | None = None
    songtype_id: int | None = None


class Choice(NamedTuple):
    """One recording inside the budget."""

    recording_id: str
    stratum: Stratum
    rank: int  # place in its stratum, from 1
    stratum_size: int
    present_boxes: int
    absent_boxes: int


@dataclass(frozen=True)
class Budget:
    """The recordings of one training side that keep their labels."""

    asked: str  # the setting, as one writes it
    seed: int
    fold: int | None
    choices: tuple[Choice, ...]  # by recording id
    num_recordings: int  # labelled ones of the training side, inside and outside
    covered: tuple[int, ...]  # species present inside, sorted
    lost: tuple[int, ...]  # species present in the training side, but nowhere inside

    @cached_property
    def recording_ids(self) -> frozenset[str]:
        """Recordings inside the budget."""
        return frozenset(choice.recording_id for choice in self.choices)

    def summary(self) -> str:
        """One line for people."""
        kept, there = len(self.choices), self.num_recordings
        how = f"({self.asked} leaves none out)" if kept == there else f"({self.asked}, data.label_seed={self.seed})"
        lost = f", but not species {', '.join(map(str, self.lost))}" if self.lost else ""
        recordings = f"all {there}" if kept == there else f"{kept} of {there}"
        return f"labels: {recordings} training recordings {how}, {len(self.covered)} species covered{lost}"

    def to_csv(self) -> str:
        """A row per recording inside the budget: what it stands for, its place there, its boxes."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["recording_id", *Stratum._fields, *Choice._fields[2:]])
        writer.writerows([choice.recording_id, *choice.stratum, *choice[2:]] for choice in self.choices)
        return text.getvalue()


def choose_labels(
    annotations: Annotations, recording_ids: Iterable[str], settings: DataSettings, fold: int | None
) -> Budget:
    """The budget of ``settings`` among ``recording_ids``, the labelled recordings of the training side of ``fold``.

    ``labels_per_species=N`` takes the first N of every stratum. ``label_fraction=x`` takes ``round(x * R)`` of R
    recordings, from all strata in proportion to their sizes, and never less than the first of each.
    """
    names, seed = sorted(set(recording_ids)), settings.label_seed
    places = list(_places(strata(annotations, names), seed))
    if settings.labels_per_species is not None:
        asked = f"data.labels_per_species={settings.labels_per_species}"
        places = [place for place in places if place.rank <= settings.labels_per_species]
    elif settings.label_fraction is not None:
        asked = f"data.label_fraction={settings.label_fraction:g}"
        num_strata = sum(place.rank == 1 for place in places)
        places.sort(key=lambda place: (place.rank > 1, place.middle, order(place.recording_id, seed)))
        places = places[: max(num_strata, round(settings.label_fraction * len(names)))]
    else:
        raise ValueError("the settings have no label budget")
    choices = [_choice(annotations, place) for place in sorted(places)]
    before = {species for name in names for species, _ in _calls(annotations, name, "present")}
    inside = {species for place in places for species, _ in _calls(annotations, place.recording_id, "present")}
    return Budget(asked, seed, fold, tuple(choices), len(names), tuple(sorted(inside)), tuple(sorted(before - inside)))


def strata(annotations: Annotations, recording_ids: Iterable[str]) -> dict[str, Stratum]:
    """The stratum of each recording: the rarest (species, song type) present in it, else the rarest called absent.

    Rare is what few of these recordings hold; among equally rare ones the lowest ids win. Song types of a species are
    strata of their own, whatever outputs the model has.
    """
    names = sorted(set(recording_ids))
    calls = {state: {name: _calls(annotations, name, state) for name in names} for state in ("present", "absent")}
    holders = {state: Counter(call for held in by_name.values() for call in held) for state, by_name in calls.items()}

    def find(name: str) -> Stratum:
        for state in ("present", "absent"):
            if held := calls[state][name]:
                return Stratum(state, *min(held, key=lambda call: (holders[state][call], call)))
        return Stratum("silent")

    return {name: find(name) for name in names}


def order(recording_id: str, seed: int) -> tuple[bytes, str]:
    """Sort key of recordings: random, yet the same on every machine and for whatever other recordings there are."""
    return hashlib.blake2b(f"{seed}/{recording_id}".encode(), digest_size=8).digest(), recording_id


class _Place(NamedTuple):
    recording_id: str
    stratum: Stratum
    rank: int  # from 1
    stratum_size: int

    @property
    def middle(self) -> float:
        """Middle of the rank's share of the stratum, in (0, 1): up to any q lie round(q * size) ranks of a stratum."""
        return (2 * self.rank - 1) / (2 * self.stratum_size)


def _places(stratum_of: dict[str, Stratum], seed: int) -> Iterator[_Place]:
    members: dict[Stratum, list[str]] = {}
    for name in sorted(stratum_of, key=lambda name: order(name, seed)):
        members.setdefault(stratum_of[name], []).append(name)
    for stratum, names in members.items():
        for rank, name in enumerate(names, start=1):
            yield _Place(name, stratum, rank, len(names))


def _choice(annotations: Annotations, place: _Place) -> Choice:
    events = annotations.events(place.recording_id)
    present = sum(event.present for event in events)
    return Choice(*place, present_boxes=present, absent_boxes=len(events) - present)


def _calls(annotations: Annotations, recording_id: str, state: str) -> set[Call]:
    """(species, song type) pairs with a box or tag of this state in the recording."""
    events = annotations.events(recording_id)
    return {(event.species_id, event.songtype_id) for event in events if event.present == (state == "present")}
