"""Where the prevalences for prior scaling come from: the species table, a file, the audio itself, or nowhere."""

from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import AnnotationError, did_you_mean
from rfcx_ssl.files import iter_csv
from rfcx_ssl.finite import parse_number
from rfcx_ssl.species import SpeciesTable

FloatArray: TypeAlias = NDArray[np.float64]

TABLE, ESTIMATE, NONE = "table", "estimate", "none"


def known_prevalence(source: str, species: SpeciesTable) -> FloatArray | None:
    """Prevalence (S,) of each species by ``--prevalence``; None where it is not known.

    Args:
        source: ``table`` (unknown unless every species has one), the path of a CSV, ``estimate`` or ``none``.
        species: the project's species.

    Raises:
        AnnotationError: the CSV breaks a rule.
    """
    if source in (ESTIMATE, NONE):
        return None
    if source != TABLE:
        return read_prevalence(Path(source), species)
    known = [value for value in species.prevalence if value is not None]
    return np.array(known) if len(known) == len(species) else None


def read_prevalence(path: Path, species: SpeciesTable) -> FloatArray:
    """Read a CSV with the columns ``name`` (or code) and ``prevalence`` of every species; (S,) in the table's order.

    Raises:
        AnnotationError: naming file and line of a foreign or repeated species or a number outside [0, 1], or the species
            without a row.
    """
    found: dict[int, float] = {}
    for line, cells in iter_csv(path, ("name", "prevalence"), None):
        name, text = cells["name"], cells["prevalence"]
        species_id = species.id_of(name)
        if species_id is None:
            hint = did_you_mean(name, (*species.names, *species.codes))
            raise AnnotationError(f"{path}:{line}: name={name!r} is not among the {len(species)} species{hint}")
        if species_id in found:
            raise AnnotationError(f"{path}:{line}: {species.names[species_id]} is listed twice")
        found[species_id] = _share(path, line, text)
    if missing := [name for species_id, name in enumerate(species.names) if species_id not in found]:
        raise AnnotationError(
            f"{path}: {len(missing)} of {len(species)} species have no prevalence (first: {missing[0]})"
        )
    return np.array([found[species_id] for species_id in range(len(species))])


def _share(path: Path, line: int, text: str) -> float:
    try:
        value = parse_number("prevalence", text)
    except ValueError as error:
        raise AnnotationError(f"{path}:{line}: {error}") from None
    if not 0 <= value <= 1:
        raise AnnotationError(f"{path}:{line}: prevalence={text} must be in [0, 1]")
    return value
