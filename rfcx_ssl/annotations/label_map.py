"""What the words of an annotator mean: from label text to species, song type and state."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.annotations.table import STATES
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.species.table import SpeciesTable


class Meaning(NamedTuple):
    """What one label says."""

    species_id: int
    songtype_id: int
    state: str


@dataclass(frozen=True)
class LabelMap:
    """Meaning of each label, without regard to case; None for labels that are skipped on purpose."""

    species: SpeciesTable
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


def default_label_map(species: SpeciesTable) -> LabelMap:
    """Every name, code and scientific name (of the species' first song type where none is said), ``s17_song4``.

    Where codes are ``s0``, ``s1``, ..., as in RFCX, the bare number will do.
    """
    meanings: dict[str, Meaning | None] = {}
    for call in species.calls:
        meaning = Meaning(call.species_id, call.songtype_id, "present")
        words = [word.lower() for word in (call.name, call.code, call.scientific_name) if word]
        bare = [str(call.species_id)] if call.code == f"s{call.species_id}" else []
        for word in (*words, *bare):
            meanings.setdefault(word, meaning)
        for word in words:
            meanings[f"{word}_song{call.songtype_id}"] = meanings[f"{word} song {call.songtype_id}"] = meaning
    return LabelMap(species, meanings)


def read_label_map(path: Path, species: SpeciesTable) -> LabelMap:
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
            meanings[key] = _meaning(cells, species)
        except ValueError as error:
            raise AnnotationError(f"{path}:{line}: {error}") from None
    return LabelMap(species, meanings)


def _meaning(cells: Mapping[str, str], species: SpeciesTable) -> Meaning | None:
    if not cells["species_id"]:
        return None
    if not cells["species_id"].isdecimal() or int(cells["species_id"]) >= len(species):
        raise ValueError(f"species_id={cells['species_id']!r} is unknown: must be 0 to {len(species) - 1}")
    species_id = int(cells["species_id"])
    state = cells.get("state") or "present"
    if state not in STATES:
        raise ValueError(f"state={state!r} must be one of {', '.join(STATES)}")
    song = cells.get("songtype_id", "")
    if song and not song.isdecimal():
        raise ValueError(f"songtype_id={song!r} is not a whole number")
    return Meaning(species_id, int(song) if song else species.first_songtype(species_id), state)
