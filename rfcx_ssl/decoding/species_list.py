"""Which species are looked for: lists of names to include or to leave out."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import AnnotationError, ConfigError, did_you_mean
from rfcx_ssl.species.table import SpeciesTable


def wanted_species(
    species: SpeciesTable, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> NDArray[np.bool_]:
    """Which species (S,) to look for: those of ``include`` (all where it is empty) that are not of ``exclude``.

    Each word is a species' name, code or scientific name, or a text file with one of them per line; what follows a # there is
    not read.

    Raises:
        ConfigError: a word is neither, or nothing is left.
        AnnotationError: naming file and line of a foreign species.
    """
    wanted = np.full(len(species), not include)
    for words, value in ((include, True), (exclude, False)):
        for word in words:
            wanted[_species_of(word, species)] = value
    if not wanted.any():
        raise ConfigError(f"of the {len(species)} species none is left to look for")
    return wanted


def species_shift(wanted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What that means for the log odds (S,): nothing, or never."""
    return np.where(wanted, 0.0, -np.inf)


def _species_of(word: str, species: SpeciesTable) -> list[int]:
    known = species.id_of(word)
    if known is not None:
        return [known]
    path = Path(word)
    if not path.is_file():
        raise ConfigError(f"{word!r} is none of the {len(species)} species and no file{_hint(word, species)}")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"{path}: cannot be read as a list of species ({error})") from None
    found = []
    for number, line in enumerate(lines, start=1):
        name = line.partition("#")[0].strip()
        if not name:
            continue
        known = species.id_of(name)
        if known is None:
            raise AnnotationError(
                f"{path}:{number}: {name!r} is none of the {len(species)} species{_hint(name, species)}"
            )
        found.append(known)
    return found


def _hint(name: str, species: SpeciesTable) -> str:
    return did_you_mean(name, (*species.names, *species.codes))
