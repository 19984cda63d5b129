"""From what a model says to what is written: calibration, prevalence, and which species may occur where and when."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.decoding.decisions import Decisions, decisions_in_force
from rfcx_ssl.decoding.decisions_file import find_decisions, model_decisions
from rfcx_ssl.decoding.occurrence import OccurrenceTable, read_occurrence
from rfcx_ssl.decoding.prior import prior_log_odds, refuse_second_prior
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.decoding.settings import PARAMETERS, USED_BY
from rfcx_ssl.decoding.species_list import species_shift, wanted_species
from rfcx_ssl.detection.recording_table import RecordingTable
from rfcx_ssl.detection.settings import DetectSettings
from rfcx_ssl.inference.ensemble import species_columns
from rfcx_ssl.inference.scorer import Scorer
from rfcx_ssl.species.prevalence import known_prevalence

logger = logging.getLogger(__name__)
FloatArray = NDArray[np.float64]
MOST_SHIFT = 100.0  # of log odds: beyond it a float32 probability is 0 or 1


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
    scorers: Sequence[Scorer],
    settings: DetectSettings,
    prior: ArrayLike | None = None,
    places: RecordingTable | None = None,
) -> ScoreRules:
    """The rules for models that are heard as one; ``prior`` (S,) as :func:`learn_prior` found it.

    Raises:
        ConfigError: settings do not fit the models or their decisions.
        AnnotationError: a list of species or the occurrence table breaks a rule.
    """
    species = scorers[0].species
    decisions = decisions_of(scorers, settings)
    scores = decisions.calibration
    if prior is not None:
        scores = scores.shifted(prior)
    wanted = wanted_species(species, settings.include, settings.exclude)
    scores = scores.shifted(species_shift(wanted))
    if settings.occurrence is None:
        return ScoreRules(decisions, scores)
    base = known_prevalence(settings.prevalence, species)
    base = train_prevalence(scorers) if base is None else base
    return ScoreRules(decisions, scores, read_occurrence(settings.occurrence, species, base), places)


def decisions_of(scorers: Sequence[Scorer], settings: DetectSettings) -> Decisions:
    """What was tuned for the models, as far as the settings leave it to that.

    Several models must have been tuned together (``rfcx-ssl tune`` gives all of them the same decisions): what was
    tuned for one says nothing about their mean.
    """
    names = [scorer.name for scorer in scorers if scorer.name] if settings.tuned else []
    found = [find_decisions(name) for name in names]
    if len({None if path is None else path.read_bytes() for path in found}) > 1:
        _note_apart(tuple(names))
        names = []
    return decisions_in_force(model_decisions(names[0]) if names else None, settings, scorers[0].species.names)


@lru_cache
def _note_apart(names: tuple[str, ...]) -> None:
    """Said once, however often the decisions are asked for."""
    logger.warning(
        "%s were not tuned together: their own thresholds and calibrations are left alone", " and ".join(names)
    )


def train_prevalence(scorers: Sequence[Scorer]) -> FloatArray | None:
    """The prevalence (S,) of the species of the first model in the training of all: the mean of those who know."""
    known = []
    for scorer in scorers:
        columns = species_columns(scorers[0], scorer)
        if scorer.train_prevalence is not None:
            known.append(scorer.train_prevalence if columns is None else scorer.train_prevalence[columns.numpy()])
    if not known:
        return None
    counts = (~np.isnan(known)).sum(axis=0)
    return np.where(counts > 0, np.nansum(known, axis=0) / np.maximum(counts, 1), np.nan)


def check_prior(scorers: Sequence[Scorer], settings: DetectSettings) -> None:
    """Refuse, before anything is heard, to scale a model's scores that have a prior already; ``ConfigError`` says which."""
    for scorer in scorers:
        refuse_second_prior(settings.prevalence, f"model {scorer.name}", scorer.scaled_prevalence)


def learn_prior(scorers: Sequence[Scorer], settings: DetectSettings, scores: NDArray[np.float32]) -> FloatArray:
    """What the prevalence adds to the log odds of each species (S,), by what the models say (R, S) of some recordings.

    Raises:
        ConfigError: a prevalence that is needed is not known.
    """
    calibrated = decisions_of(scorers, settings).calibration(scores)
    return prior_log_odds(settings.prevalence, scorers[0].species, train_prevalence(scorers), calibrated)


def files_of(settings: DetectSettings) -> list[Path]:
    """Files besides the model that results depend on."""
    words: Sequence[Any] = (settings.occurrence, settings.prevalence, *settings.include, *settings.exclude)
    return [Path(word) for word in words if word is not None and Path(word).is_file()]


def plain_prior(prior: FloatArray) -> list[float]:
    """For JSON, which has no infinity: a prevalence of 0 or 1 is one that is next to it."""
    found: list[float] = np.clip(prior, -MOST_SHIFT, MOST_SHIFT).tolist()
    return found


def in_words(decisions: Mapping[str, Any]) -> str:
    """What :func:`describe` says, as a line."""
    text = f"{decisions['decoder']}, threshold {_range(decisions['threshold'])}"
    for key in PARAMETERS:  # records from before December 2026 hold the threshold only
        if key not in ("threshold", "low_threshold") and {*decisions.get(key, {}).values()} - {
            PARAMETERS[key].default
        }:
            text += f", {key} {_range(decisions[key])}"
    about = decisions["about"]
    told = ", ".join(f"{key} {about[key]}" for key in ("criterion", "data", "made") if key in about)
    text += f"; tuned ({told})" if told else "; not tuned (rfcx-ssl tune)"
    return text + (", calibrated" if decisions["calibrated"] else "")


def _range(values: Mapping[str, float]) -> str:
    low, high = min(values.values()), max(values.values())
    return f"{low:.2g}" + (f" to {high:.2g}, one per species" if low < high else "")


def describe(rules: ScoreRules, settings: DetectSettings) -> Mapping[str, Any]:
    """What a user is told about the decisions in force."""
    decisions = rules.decisions
    return {
        "decoder": decisions.decoder,
        **{
            key: dict(zip(decisions.species, getattr(decisions, key).tolist(), strict=True))
            for key in USED_BY[decisions.decoder]
        },
        "calibrated": not decisions.calibration.is_identity,
        "about": dict(decisions.about),
        "prevalence": settings.prevalence,
    }
