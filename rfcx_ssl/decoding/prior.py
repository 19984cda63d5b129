"""Prior shift while listening: towards how common each species is where one listens (docs/prior.md)."""

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.metrics import estimate_prevalence, matching_shift, prior_shift
from rfcx_ssl.species.prevalence import ESTIMATE, NONE, known_prevalence
from rfcx_ssl.species.table import SpeciesTable


def prior_log_odds(
    source: str,
    species: SpeciesTable,
    train_prevalence: NDArray[np.float64] | None,
    earlier: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """What is added to the log odds of each species (S,).

    Args:
        source: where the prevalence comes from: ``table`` (that of the species), the path of a CSV with ``name,prevalence``,
            ``estimate`` (by EM on ``earlier`` scores), or ``none``.
        species: of the model.
        train_prevalence: (S,) what the model was trained under, NaN where it is not known; None: nothing is known.
        earlier: (R, S) scores that the model gave to other recordings of the same place, without a prior. With them, a known
            prevalence is matched, which was best in docs/prior.md and needs no ``train_prevalence``.

    Returns:
        The shift; 0 for a species whose training prevalence is needed and not known.

    Raises:
        ConfigError: something that ``source`` needs is not known.
        AnnotationError: the CSV breaks a rule.
    """
    if source == NONE:
        return np.zeros(len(species))
    if source == ESTIMATE and earlier is None:
        raise ConfigError(f"prevalence {ESTIMATE}: needs the scores of earlier recordings to estimate from")
    prevalence = known_prevalence(source, species)
    if prevalence is None and source != ESTIMATE:
        raise ConfigError(f"prevalence {source}: not every species of the table has one; name a CSV, or none")
    if prevalence is not None and earlier is not None:
        return matching_shift(earlier, prevalence)
    if train_prevalence is None or np.isnan(train_prevalence).all():
        raise ConfigError(f"prevalence {source}: the model's config.json has no train_prevalence to scale from")
    known = ~np.isnan(train_prevalence)
    shift = np.zeros(len(species))
    if prevalence is None:
        assert earlier is not None
        wanted = estimate_prevalence(earlier[:, known], train_prevalence[known]).prevalence
    else:
        wanted = prevalence[known]
    shift[known] = prior_shift(wanted, train_prevalence[known])
    return shift


def refuse_second_prior(source: str, model: str, scaled_to: str | None) -> None:
    """Refuse to scale what a model says if it learned from labels that were scaled: the prior would count twice.

    Raises:
        ConfigError: naming the model, and what its labels were scaled to.
    """
    if source != NONE and scaled_to is not None:
        raise ConfigError(
            f"prevalence={source}: {model} has learned from pseudo-labels that were scaled to prevalence={scaled_to}, so the prior "
            "is in its probabilities already; set prevalence=none"
        )
