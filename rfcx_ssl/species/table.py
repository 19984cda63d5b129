"""A project's species: names, song types, frequency bands and prevalences.

Needs the standard library only: the table is saved in every model's config and read wherever the model runs.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class Call:
    """One song type of a species: a row of ``species.csv``. None is "not known"."""

    species_id: int  # position of the species in the table
    songtype_id: int
    name: str
    code: str | None = None  # short name, e.g. of the species' column in a submission
    scientific_name: str | None = None
    f_min_hz: float | None = None
    f_max_hz: float | None = None
    prevalence: float | None = None  # share of recordings that hold the species (not the song type)

    @property
    def band_hz(self) -> tuple[float, float] | None:
        """Lowest and highest frequency of the call."""
        return None if self.f_min_hz is None or self.f_max_hz is None else (self.f_min_hz, self.f_max_hz)


@dataclass(frozen=True)
class SpeciesTable:
    """S species in order: ``calls`` has one row per song type, those of a species next to each other.

    Raises:
        ValueError: a rule of the table is broken; the message names the species, the value and the rule.
    """

    calls: tuple[Call, ...]
    _of: Mapping[int, tuple[Call, ...]] = field(init=False, repr=False, compare=False)
    _id_of: Mapping[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        of: dict[int, list[Call]] = {}
        for call in self.calls:
            of.setdefault(call.species_id, []).append(call)
        if list(of) != list(range(len(of))):
            raise ValueError("species ids must count from 0, song types of a species next to each other")
        for calls in of.values():
            _check_species(calls)
        object.__setattr__(self, "_of", {species: tuple(calls) for species, calls in of.items()})
        object.__setattr__(self, "_id_of", _ids(of))

    @classmethod
    def of_names(cls, names: Iterable[str]) -> "SpeciesTable":
        """Species of which nothing but the name is known, each with song type 1."""
        return cls(tuple(Call(species, 1, name) for species, name in enumerate(names)))

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> "SpeciesTable":
        """The table of :meth:`rows`."""
        return cls(tuple(Call(**row) for row in rows))

    def rows(self) -> list[dict[str, Any]]:
        """Plain mappings, for JSON; what is not known is left out."""
        return [{key: value for key, value in asdict(call).items() if value is not None} for call in self.calls]

    def __len__(self) -> int:
        return len(self._of)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Name of each species (S,)."""
        return tuple(calls[0].name for calls in self._of.values())

    @cached_property
    def codes(self) -> tuple[str, ...]:
        """Code of each species (S,), or its name where it has none."""
        return tuple(calls[0].code or calls[0].name for calls in self._of.values())

    @cached_property
    def scientific_names(self) -> Mapping[str, str]:
        """Scientific name by name, of the species that have one."""
        return {call.name: call.scientific_name for call in self.calls if call.scientific_name}

    @cached_property
    def prevalence(self) -> tuple[float | None, ...]:
        """Prevalence of each species (S,), None where it is not known."""
        return tuple(calls[0].prevalence for calls in self._of.values())

    def id_of(self, name: str) -> int | None:
        """The species of a name, code or scientific name, without regard to case; None for a foreign one."""
        return self._id_of.get(name_key(name))

    def calls_of(self, species_id: int) -> tuple[Call, ...]:
        """The song types of a species; empty for a foreign one."""
        return self._of.get(species_id, ())

    def typical_call(self, species_id: int, songtype_id: int | None = None) -> Call | None:
        """The call of that song type if there is such a one, else the species' first; None for a foreign species."""
        calls = self.calls_of(species_id)
        exact = [call for call in calls if call.songtype_id == songtype_id]
        return next(iter(exact or calls), None)

    def first_songtype(self, species_id: int) -> int:
        """What a species without a song type means: its first one; 1 for a foreign species."""
        call = self.typical_call(species_id)
        return call.songtype_id if call else 1

    def band_hz(self, species_id: int, songtype_id: int | None = None) -> tuple[float, float] | None:
        """Lowest and highest frequency of a species over its song types, or of one of them; None where unknown."""
        calls = [call for call in self.calls_of(species_id) if songtype_id in (None, call.songtype_id)]
        bands = [band for call in calls if (band := call.band_hz) is not None]
        return (min(low for low, _ in bands), max(high for _, high in bands)) if bands else None


def _check_species(calls: Sequence[Call]) -> None:
    """The rows of one species."""
    name = calls[0].name
    if not name.strip():
        raise ValueError("name is empty")
    for key in ("name", "code", "scientific_name", "prevalence"):
        values = [getattr(call, key) for call in calls]
        if len(set(values)) > 1:
            raise ValueError(f"{name}: {key} differs between its song types ({values[0]!r}, {values[1]!r})")
    songs = [call.songtype_id for call in calls]
    if len(set(songs)) < len(songs):
        raise ValueError(f"{name}: songtype {next(s for s in songs if songs.count(s) > 1)} is listed twice")
    for call in calls:
        if (call.f_min_hz is None) != (call.f_max_hz is None):
            raise ValueError(f"{name}: f_min_hz and f_max_hz must be given together")
        if call.f_min_hz is not None and call.f_max_hz is not None and not 0 <= call.f_min_hz < call.f_max_hz:
            raise ValueError(f"{name}: f_min_hz={call.f_min_hz:g} must be from 0 to below f_max_hz={call.f_max_hz:g}")
        if call.prevalence is not None and not 0 <= call.prevalence <= 1:
            raise ValueError(f"{name}: prevalence={call.prevalence:g} must be in [0, 1]")


def _ids(of: Mapping[int, Sequence[Call]]) -> dict[str, int]:
    """Species of every name, code and scientific name; a word for two species is an error, by name before the rest."""
    ids: dict[str, int] = {}
    for key in ("name", "code", "scientific_name"):
        for species, calls in of.items():
            word = getattr(calls[0], key)
            if word and ids.setdefault(name_key(word), species) != species:
                raise ValueError(
                    f"{key} {word!r} stands for two species: {of[ids[name_key(word)]][0].name}, {calls[0].name}"
                )
    return ids


def name_key(name: str) -> str:
    """What two spellings of one name share: no case, single spaces, composed characters (Unicode's NFC)."""
    return unicodedata.normalize("NFC", " ".join(name.split()).casefold())
