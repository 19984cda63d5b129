"""From what a model says to what is written: calibration, prevalence, and which species may occur where and when."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.data.prevalence import ESTIMATE, NONE, known_prevalence
from rfcx_ssl.decoding.decisions import Decisions, decisions_in_force
from rfcx_ssl.decoding.decisions_file import find_decisions, read_decisions
from rfcx_ssl.decoding.occurrence import OccurrenceTable, read_occurrence
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.species_list import species_shift, wanted_species
from rfcx_ssl.detection.recording_table import RecordingTable
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.inference.load import model_folder
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.metrics import estimate_prevalence
from rfcx_ssl.metrics.prior import matching_shift, prior_shift

FloatArray = NDArray[np.float64]


class Maps(NamedTuple):
    """What is done to the scores of one recording, and what could not be because nobody says where and when it was made."""

    scores: ScoreMap
    warnings: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class ScoreRules:
    """Decisions in force, and the map that all scores go through before they are decoded.

    ``prior`` (S,) is what the log odds are shifted by for the prevalence, ``occurrence`` what is known of places and times;
    ``places`` are those of the recordings.
    """

    decisions: Decisions
    scores: ScoreMap
    occurrence: OccurrenceTable | None = None
    places: RecordingTable | None = field(default=None, compare=False)

    def of(self, recording: str, path: str, recorded_at: str | None) -> Maps:
        """The map for one recording, of which its file says when it was made."""
        if self.occurrence is None:
            return Maps(self.scores, ())
        place = None if self.places is None else self.places.find(recording, path)
        at = recorded_at if place is None or not place.knows_day else place.recorded_at
        here = self.occurrence.weights(
            None if place is None else place.site, None if at is None else datetime.fromisoformat(at)
        )
        unknown = tuple(f"its {what} is not known, which the occurrence table asks for" for what in here.unknown)
        return Maps(self.scores.shifted(here.shift), unknown)


def make_rules(
    scorer: Scorer, settings: DetectSettings, prior: ArrayLike | None = None, places: RecordingTable | None = None
) -> ScoreRules:
    """The rules for a scorer; ``prior`` (S,) as :func:`learn_prior` found it.

    Raises:
        ConfigError: settings do not fit the model or its decisions.
        AnnotationError: a list of species or the occurrence table breaks a rule.
    """
    species = scorer.species
    decisions = decisions_of(scorer, settings)
    scores = decisions.calibration
    if prior is not None:
        scores = scores.shifted(prior)
    wanted = wanted_species(species, settings.include, settings.exclude)
    scores = scores.shifted(species_shift(wanted))
    if settings.occurrence is None:
        return ScoreRules(decisions, scores)
    base = known_prevalence(settings.prevalence, species)
    base = scorer.train_prevalence if base is None else base
    return ScoreRules(decisions, scores, read_occurrence(settings.occurrence, species, base), places)


def decisions_of(scorer: Scorer, settings: DetectSettings) -> Decisions:
    """What was tuned for the scorer's model, as far as the settings leave it to that."""
    path = None
    if settings.tuned and scorer.name:
        place = model_folder(scorer.name)
        path = find_decisions(str(place if place.is_dir() else place.parent))
    saved = None if path is None else read_decisions(path)
    return decisions_in_force(saved, settings, scorer.species.names)


def learn_prior(settings: DetectSettings, scorer: Scorer, scores: NDArray[np.float32]) -> FloatArray | None:
    """What the prevalence adds to the log odds of each species (S,), by what the model says (R, S) of some recordings.

    A known prevalence is matched by these recordings (:func:`rfcx_ssl.metrics.match_prevalence`), one that is to be estimated
    is found by EM on them. None where nothing is scaled.

    Raises:
        ConfigError: a species has no prevalence, or the model does not know the one of its training.
    """
    if settings.prevalence == NONE:
        return None
    calibrated = decisions_of(scorer, settings).calibration(scores)
    if settings.prevalence != ESTIMATE:
        known = known_prevalence(settings.prevalence, scorer.species)
        if known is None:
            raise ConfigError(f"prevalence={settings.prevalence}: not every species of the model's table has one")
        return matching_shift(calibrated, known)
    trained = scorer.train_prevalence
    if trained is None or np.isnan(trained).any():
        raise ConfigError(
            f"prevalence={ESTIMATE}: model {scorer.name} does not know the prevalence of every species in its training"
        )
    return prior_shift(estimate_prevalence(calibrated, trained).prevalence, trained)


def files_of(settings: DetectSettings) -> list[Path]:
    """Files besides the model that results depend on."""
    words: Sequence[Any] = (settings.occurrence, settings.prevalence, *settings.include, *settings.exclude)
    return [Path(word) for word in words if word is not None and Path(word).is_file()]


def plain_prior(prior: FloatArray | None) -> list[float] | None:
    """For JSON, which has no infinity: a prevalence of 0 or 1 is one that is next to it."""
    return None if prior is None else np.clip(prior, -MOST_SHIFT, MOST_SHIFT).tolist()


MOST_SHIFT = 100.0


def describe(rules: ScoreRules, settings: DetectSettings) -> Mapping[str, Any]:
    """What a user is told about the thresholds in force."""
    decisions = rules.decisions
    return {
        "decoder": decisions.decoder,
        "threshold": dict(zip(decisions.species, decisions.threshold.tolist(), strict=True)),
        "calibrated": not decisions.calibration.is_identity,
        "about": dict(decisions.about),
        "prevalence": settings.prevalence,
    }
