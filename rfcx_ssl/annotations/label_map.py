"""What the words of an annotator mean: from label text to species, song type and state."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.annotations.table import STATES
from rfcx_ssl.errors import AnnotationError, did_you_mean
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_whole
from rfcx_ssl.species.table import SpeciesTable, name_key


class Meaning(NamedTuple):
    """What one label says."""

    species_id: int
    songtype_id: int
    state: str


@dataclass(frozen=True)
class LabelMap:
    """Meaning of each label, whatever its case and spaces; None for labels that are skipped on purpose."""

    species: SpeciesTable
    meanings: Mapping[str, Meaning | None]  # by :func:`name_key`
    species_file: Path | None = None  # where a species that is missing may be added

    def __post_init__(self) -> None:
        object.__setattr__(self, "meanings", {name_key(label): what for label, what in self.meanings.items()})

    def __contains__(self, label: str) -> bool:
        return name_key(label) in self.meanings

    def __getitem__(self, label: str) -> Meaning | None:
        """Meaning of a label; ``ValueError`` names an unknown one and those closest to it."""
        key = name_key(label)
        if key not in self.meanings:
            near = difflib.get_close_matches(key, self.meanings, n=2)
            where = f"add it to the label map{f' or to {self.species_file}' if self.species_file else ''}"
            hint = f"did you mean {' or '.join(map(repr, near))}? Or {where}" if near else where
            raise ValueError(f"unknown label {label!r}: {hint}")
        return self.meanings[key]


def is_unsure(label: str) -> bool:
    """Whether the annotator put a question mark at the end: nothing is known then."""
    return label.rstrip().endswith("?")


def default_label_map(species: SpeciesTable, species_file: Path | None = None) -> LabelMap:
    """Every name, code and scientific name (of the species' first song type where none is said), ``s17_song4``.

    Where codes are ``s0``, ``s1``, ..., as in RFCX, the bare number will do.
    """
    meanings: dict[str, Meaning | None] = {}
    for call in species.calls:
        meaning = Meaning(call.species_id, call.songtype_id, "present")
        words = [name_key(word) for word in (call.name, call.code, call.scientific_name) if word]
        bare = [str(call.species_id)] if call.code == f"s{call.species_id}" else []
        for word in (*words, *bare):
            meanings.setdefault(word, meaning)
        for word in words:
            meanings[f"{word}_song{call.songtype_id}"] = meanings[f"{word} song {call.songtype_id}"] = meaning
    return LabelMap(species, meanings, species_file)


def read_label_map(path: Path, species: SpeciesTable, species_file: Path | None = None) -> LabelMap:
    """Read a table ``label,species`` (a name or code) or ``label,species_id``, with optional ``songtype_id`` and ``state``.

    A label without a species is skipped wherever it occurs; without a song type it means the species' first one. In
    the form with names, a species' own name needs no row; in the other, only what is listed is understood.

    Raises:
        AnnotationError: naming file and line of a repeated label, an unknown species or state.
    """
    meanings: dict[str, Meaning | None] = {}
    by_name = False
    for line, cells in _entries(path):
        by_name = "species" in cells
        try:
            meanings[cells["label"]] = _meaning(cells, species)
        except ValueError as error:
            raise AnnotationError(f"{path}:{line}: {error}") from None
    mapped = LabelMap(species, meanings, species_file)
    beneath = default_label_map(species).meanings if by_name else {}
    return LabelMap(species, {**beneath, **mapped.meanings}, species_file)


def mapped_names(path: Path) -> dict[str, tuple[str, str]]:
    """Species and song type (maybe empty) of each label's key in a label map, before there is a table of species.

    Raises:
        AnnotationError: naming file and line of a repeated label, or the file for a map of ids.
    """
    names = {}
    for line, cells in _entries(path):
        if "species" not in cells:
            raise AnnotationError(f"{path}:{line}: species ids need a table of species (data.species_file)")
        names[name_key(cells["label"])] = cells["species"], cells.get("songtype_id", "")
    return names


def _entries(path: Path) -> list[tuple[int, dict[str, str]]]:
    """The rows of a label map, each label once."""
    rows = list(iter_csv(path, ("label",), ("species", "species_id", "songtype_id", "state")))
    seen: set[str] = set()
    for line, cells in rows:
        key = name_key(cells["label"])
        if not {"species", "species_id"} & cells.keys():
            raise AnnotationError(f"{path}:1: missing column species")
        if not key or key in seen:
            raise AnnotationError(f"{path}:{line}: label {cells['label']!r} is empty or listed twice")
        seen.add(key)
    return rows


def _meaning(cells: Mapping[str, str], species: SpeciesTable) -> Meaning | None:
    word = cells.get("species") or cells.get("species_id") or ""
    if not word:
        return None
    species_id = (
        species.id_of(word) if cells.get("species") else parse_whole("species_id", word) if word.isdecimal() else None
    )
    if species_id is None and cells.get("species"):
        raise ValueError(f"species={word!r} is unknown{did_you_mean(word, species.names)}")
    if species_id is None or species_id >= len(species):
        raise ValueError(f"species_id={word!r} is unknown: must be 0 to {len(species) - 1}")
    state = cells.get("state") or "present"
    if state not in STATES:
        raise ValueError(f"state={state!r} must be one of {', '.join(STATES)}")
    song = cells.get("songtype_id", "")
    return Meaning(species_id, parse_whole("songtype_id", song) if song else species.first_songtype(species_id), state)
