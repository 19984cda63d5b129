"""How common each species is, as far as that is known without listening: the class prior."""

from dataclasses import dataclass

import numpy as np

from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.metrics.arrays import FloatArray


@dataclass(frozen=True)
class Prior:
    """A value per species, and whether scores may be scaled by it: not where it was counted on what is judged."""

    values: FloatArray  # (S,)
    scales: bool
    source: str  # where it comes from, as a sentence


def prior_of(reference: Reference) -> Prior:
    """The prevalence of the species table; where that has none, the species' share of the recordings that are judged.

    A share of the judged recordings is a floor that no blind ranking beats by much, and no knowledge to scale scores by.
    """
    given = reference.space.species.prevalence
    missing = [name for name, value in zip(reference.space.species_names, given, strict=True) if value is None]
    if not missing:
        known = np.array([value for value in given if value is not None])
        return Prior(known, True, "Class prior and prior scaling: the prevalence of the species table.")
    heard, known = (reference.truth & reference.known).sum(axis=0), reference.known.sum(axis=0)
    share = heard / np.maximum(known, 1)
    lacks = f"{len(missing)} of {len(given)} species (first: {missing[0]})"
    return Prior(
        share,
        False,
        f"The species table has no prevalence for {lacks}: nothing is prior-scaled, and the class prior is each species' "
        "share of the recordings judged here, the best that a ranking can do without listening.",
    )
