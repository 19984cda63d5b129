"""How common each species is, as far as that is known without listening: the class prior, and scaling by it."""

from dataclasses import dataclass

import numpy as np

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.metrics import estimate_prevalence, match_prevalence, prior_scale
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.species.prevalence import ESTIMATE, NONE, TABLE, known_prevalence


@dataclass(frozen=True)
class Prior:
    """What ranks species without listening, and what scores are scaled to."""

    values: FloatArray  # (S,) the class prior
    prevalence: FloatArray | None  # (S,) what every model's scores are scaled to; None: nothing, or own estimates
    estimates: bool  # scores are scaled to what each model makes of the unlabelled audio
    source: str  # where it comes from, as a sentence

    @property
    def scales(self) -> bool:
        """Whether there are prior-scaled scores."""
        return self.estimates or self.prevalence is not None

    def scale(self, name: str, system: Heard) -> FloatArray | None:
        """Prior-scaled probabilities (R, S) of all recordings; None where nothing is scaled.

        Raises:
            ConfigError: prevalences are to be estimated, and the model does not know what it was trained under.
        """
        if self.prevalence is not None:
            return match_prevalence(system.clip, self.prevalence)
        if not self.estimates:
            return None
        trained, estimated = estimate_for(name, system)
        known = ~np.isnan(trained)
        scaled = system.clip.copy()
        scaled[:, known] = prior_scale(system.clip[:, known], estimated[known], trained[known])
        return scaled


def prior_of(reference: Reference, source: str = TABLE) -> Prior:
    """The prior by ``--prevalence`` (:func:`rfcx_ssl.species.prevalence.known_prevalence`).

    Scores are scaled to a prevalence that is known, or that each model estimates. The class prior is the known one, that of
    the species table, or the species' share of the recordings that are judged: a floor that no blind ranking beats by
    much, and no knowledge to scale scores by.
    """
    species = reference.space.species
    known = known_prevalence(source, species)
    if known is not None:
        place = "the species table" if source == TABLE else source
        return Prior(known, known, False, f"Class prior and prior scaling: the prevalences of {place}.")
    if source == ESTIMATE:
        scaling = "Prior scaling: the prevalences that each model estimates from its scores of these recordings (docs/prior.md)."
    elif source == NONE:
        scaling = "Nothing is prior-scaled."
    else:
        lacking = [name for name, value in zip(species.names, species.prevalence, strict=True) if value is None]
        scaling = (
            f"The species table has no prevalence for {len(lacking)} of {len(species)} species (first: {lacking[0]}): "
            "nothing is prior-scaled."
        )
    table = known_prevalence(TABLE, species)
    if table is not None:
        return Prior(table, None, source == ESTIMATE, f"{scaling} Class prior: the prevalences of the species table.")
    share = (reference.truth & reference.known).sum(axis=0) / np.maximum(reference.known.sum(axis=0), 1)
    return Prior(
        share,
        None,
        source == ESTIMATE,
        f"{scaling} Class prior: each species' share of the recordings judged here, the best that a ranking can do without "
        "listening.",
    )


def estimate_for(name: str, system: Heard) -> tuple[FloatArray, FloatArray]:
    """The prevalence (S,) a model was trained under and the one it estimates for what it heard, NaN where unknown.

    Raises:
        ConfigError: the model does not know the prevalence of any species in its training.
    """
    trained = system.train_prevalence
    if trained is None or np.isnan(trained).all():
        raise ConfigError(
            f"model {name}: its config.json has no train_prevalence, which --prevalence {ESTIMATE} needs; models trained "
            "since November 2026 have it"
        )
    estimated, known = np.full(len(trained), np.nan), ~np.isnan(trained)
    estimated[known] = estimate_prevalence(system.clip[:, known], trained[known]).prevalence
    return trained, estimated


def estimate_note(name: str, system: Heard, reference: Reference) -> str:
    """How far a model's estimates are from the species' shares of the recordings in which they are known, as a sentence."""
    _, estimated = estimate_for(name, system)
    heard, known = (reference.truth & reference.known).sum(axis=0), reference.known.sum(axis=0)
    usable = (known > 0) & ~np.isnan(estimated)
    if not usable.any():
        return f"{name}: no estimated prevalence can be judged."
    share = heard[usable] / known[usable]
    error, blind = np.abs(estimated[usable] - share).mean(), np.abs(share.mean() - share).mean()
    return (
        f"{name}: its estimated prevalences are {error:.3f} off on average over {usable.sum()} species "
        f"(one number for all species: {blind:.3f})."
    )
