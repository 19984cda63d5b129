"""What the words of an annotator mean: from label text to species, song type and state."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.annotations.rows import iter_csv
from rfcx_ssl.annotations.table import STATES
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import RFCX_CALLS, RFCX_NUM_SPECIES, first_songtype


class Meaning(NamedTuple):
    """What one label says."""

    species_id: int
    songtype_id: int
    state: str


@dataclass(frozen=True)
class LabelMap:
    """Meaning of each label, without regard to case; None for labels that are skipped on purpose."""

    meanings: Mapping[str, Meaning | None]

    def __contains__(self, label: str) -> bool:
        return self._key(label) in self.meanings

    def __getitem__(self, label: str) -> Meaning | None:
        """Meaning of a label; ``ValueError`` names an unknown one and those closest to it."""
        key = self._key(label)
        if key not in self.meanings:
            near = difflib.get_close_matches(key, self.meanings, n=2)
            hint = f"did you mean {' or '.join(map(repr, near))}?" if near else "add it to the label map"
            raise ValueError(f"unknown label {label!r}: {hint}")
        return self.meanings[key]

    @staticmethod
    def _key(label: str) -> str:
        return label.strip().lower()


def default_label_map() -> LabelMap:
    """``s3``, ``3``, ``s17_song4`` and the species' names (of its first song type where none is said)."""
    meanings: dict[str, Meaning | None] = {}
    for call in RFCX_CALLS:
        meaning = Meaning(call.species_id, call.songtype_id, "present")
        for label in (f"s{call.species_id}", str(call.species_id), call.name.lower()):
            meanings.setdefault(label, meaning)
        for label in (f"s{call.species_id}_song{call.songtype_id}", f"{call.name.lower()} song {call.songtype_id}"):
            meanings[label] = meaning
    return LabelMap(meanings)


def read_label_map(path: Path, num_species: int = RFCX_NUM_SPECIES) -> LabelMap:
    """Read a table ``label,species_id`` with optional ``songtype_id`` and ``state``.

    A label without a species is skipped wherever it occurs; without a song type it means the species' first one.

    Raises:
        AnnotationError: naming file and line of a repeated label, an unknown species or state.
    """
    meanings: dict[str, Meaning | None] = {}
    for line, cells in iter_csv(path, ("label", "species_id"), ("songtype_id", "state")):
        key = cells["label"].lower()
        if not key or key in meanings:
            raise AnnotationError(f"{path}:{line}: label {cells['label']!r} is empty or listed twice")
        try:
            meanings[key] = _meaning(cells, num_species)
        except ValueError as error:
            raise AnnotationError(f"{path}:{line}: {error}") from None
    return LabelMap(meanings)


def _meaning(cells: Mapping[str, str], num_species: int) -> Meaning | None:
    if not cells["species_id"]:
        return None
    if not cells["species_id"].isdecimal() or int(cells["species_id"]) >= num_species:
        raise ValueError(f"species_id={cells['species_id']!r} is unknown: must be 0 to {num_species - 1}")
    species = int(cells["species_id"])
    state = cells.get("state") or "present"
    if state not in STATES:
        raise ValueError(f"state={state!r} must be one of {', '.join(STATES)}")
    song = cells.get("songtype_id", "")
    if song and not song.isdecimal():
        raise ValueError(f"songtype_id={song!r} is not a whole number")
    return Meaning(species, int(song) if song else first_songtype(species), state)
