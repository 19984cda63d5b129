"""From what models have heard to numbers: overall, per species and per group, floors and intervals beside each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations.layout import RECORDINGS_TABLE
from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.errors import ConfigError, MissingExtraError
from rfcx_ssl.evaluation.decided import decided_note
from rfcx_ssl.evaluation.events import always, judge_events
from rfcx_ssl.evaluation.groups import ALL, Group, groups_of
from rfcx_ssl.evaluation.judge import Judge, Scored
from rfcx_ssl.evaluation.prior import Prior, estimate_note, prior_of
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.evaluation.values import box_values, event_values, margin_values, recording_values
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.events import EventMetrics
from rfcx_ssl.species.prevalence import TABLE
from rfcx_ssl.training.scores import Cells, box_cells

IntArray: TypeAlias = NDArray[np.int64]
Resample: TypeAlias = Literal["recording", "site"]


@dataclass(frozen=True)
class JudgingOptions:
    """How to judge: the probability that counts as a detection, what the intervals draw, where prevalences come from.

    A ``threshold`` is for everything. Without one, boxes, segments and events are decided as a model has decided for itself;
    scores of whole recordings, which are about no frames, and models without decisions, at 0.5.
    """

    threshold: float | None = None
    resample: Resample = "recording"
    resamples: int = 1000
    seed: int = 0
    prevalence: str = TABLE  # known_prevalence says what it may be

    def __post_init__(self) -> None:
        if self.threshold is not None and not 0 < self.threshold <= 1:
            raise ConfigError(f"--threshold {self.threshold:g}: must be in (0, 1]")
        if self.resamples < 1:
            raise ConfigError(f"--resamples {self.resamples}: must be at least 1")

    @property
    def plain_threshold(self) -> float:
        """Where a model has decided nothing."""
        return 0.5 if self.threshold is None else self.threshold

    def decisions(self, system: Heard) -> Decisions | None:
        """A model's own decisions, where they count."""
        return system.decisions if self.threshold is None else None


@dataclass(frozen=True)
class Verdict:
    """One model in one group: numbers by the names of :mod:`rfcx_ssl.evaluation.values`."""

    model: str
    group: Group
    values: Mapping[str, float]


@dataclass(frozen=True)
class Judged:
    """One model on everything: what tables and curves per species are made of."""

    recordings: Scored
    scaled: Scored | None  # None where nothing is prior-scaled
    boxes: Scored
    events: EventMetrics | None  # None where no recording's every call is marked, or the extra is missing


@dataclass(frozen=True)
class Evaluation:
    """Everything that was found."""

    reference: Reference
    prior: Prior
    options: JudgingOptions
    heard: Mapping[str, Heard]
    judged: Mapping[str, Judged]
    verdicts: tuple[Verdict, ...]  # group by group, the models in order
    notes: tuple[str, ...]  # sentences about what is judged, and what is not for want of what

    @cached_property
    def overall(self) -> dict[str, Verdict]:
        """The verdict on everything, by model."""
        return {verdict.model: verdict for verdict in self.verdicts if verdict.group.kind == ALL}


def evaluate(
    reference: Reference, heard: Mapping[str, Heard], options: JudgingOptions, snr_db: FloatArray | None = None
) -> Evaluation:
    """Judge what models have ``heard`` of a reference; with ``snr_db`` (R, S) also by loudness.

    Raises:
        ConfigError: recordings cannot be resampled by site, for want of sites.
    """
    prior = prior_of(reference, options.prevalence)
    bench = _Bench(reference, prior, options)
    judged = {name: bench.judge(name, system) for name, system in heard.items()}
    verdicts = [verdict for group in groups_of(reference, snr_db) for verdict in bench.verdicts(group, heard, judged)]
    estimates = [estimate_note(name, system, reference) for name, system in heard.items()] if prior.estimates else []
    decided = [decided_note(name, own) for name, system in heard.items() if (own := options.decisions(system))]
    notes = (prior.source, *estimates, *decided, *bench.notes)
    return Evaluation(reference, prior, options, heard, judged, tuple(verdicts), notes)


class _Bench:
    """What all models are judged with."""

    def __init__(self, reference: Reference, prior: Prior, options: JudgingOptions) -> None:
        self.reference, self.prior, self.options = reference, prior, options
        self.clusters = _clusters(reference, options.resample)
        self.whole = self._judge(reference.truth, reference.known, self.clusters)
        self.notes: list[str] = []

    def judge(self, name: str, system: Heard) -> Judged:
        """Everything of one model."""
        scaled = self.prior.scale(name, system)
        rows, cells = _box_rows(system), _box_cells(system, len(self.reference.space.species))
        decisions = self.options.decisions(system)
        clusters, threshold = rows if self.clusters is None else self.clusters[rows], None
        if decisions is not None:
            cells, threshold = cells._replace(scores=decisions.calibration(cells.scores)), decisions.threshold
        boxes = self._judge(cells.truth, cells.known, clusters, threshold)
        everywhere = np.ones(len(self.reference.paths), np.bool_)
        events = self._events(system, system.frames, everywhere, decisions)
        return Judged(
            self.whole.score(system.clip),
            None if scaled is None else self.whole.score(scaled),
            boxes.score(cells.scores.astype(np.float64)),
            events,
        )

    def verdicts(self, group: Group, heard: Mapping[str, Heard], judged: Mapping[str, Judged]) -> Iterator[Verdict]:
        """The models on one group."""
        whole = group.kind == ALL
        parts = judged if whole else {name: self._part(group, heard[name], judged[name]) for name in judged}
        first_heard, first = next(iter(heard.values())), next(iter(parts.values()))
        floors = first.recordings.judge.floors()
        blind = self._events(first_heard, always(first_heard, self.prior.values), group.rows) if group.whole else None
        for name, part in parts.items():
            values = recording_values(part.recordings, part.scaled, floors, intervals=whole)
            values |= box_values(part.boxes, intervals=whole) | event_values(part.events, blind)
            values["event_recordings"] = float((self.reference.timed & group.rows).sum() if group.whole else 0)
            if whole:
                rival = None if part is first else first
                others = None if rival is None else rival.recordings
                values |= margin_values(part.recordings, others, "", ("lwlrap", "map", "auc"))
                values |= margin_values(part.boxes, _paired(part, rival), "box_", ("auc", "map"))
            yield Verdict(name, group, values)

    def _part(self, group: Group, system: Heard, judged: Judged) -> Judged:
        """A model on one group; boxes and events only where the group holds all species of its recordings."""
        rows, judge = group.rows, self.whole.within(group.cells)
        raw = judge.score(system.clip[rows])
        scaled = None if judged.scaled is None else judge.score(judged.scaled.scores[rows])
        inside = (rows if group.whole else np.zeros_like(rows))[_box_rows(system)]
        cells = np.broadcast_to(inside[:, None], judged.boxes.scores.shape)
        boxes = judged.boxes.judge.within(cells).score(judged.boxes.scores[inside])
        decisions = self.options.decisions(system)
        events = self._events(system, system.frames, rows, decisions) if group.whole else None
        return Judged(raw, scaled, boxes, events)

    def _events(
        self, system: Heard, frames: Mapping[int, NDArray[Any]], rows: BoolArray, decisions: Decisions | None = None
    ) -> EventMetrics | None:
        """Event metrics of some recordings; None where none of them is timed, or the extra is not installed."""
        if not (self.reference.timed & rows).any():
            return None
        try:
            threshold = self.options.plain_threshold
            return judge_events(self.reference, system, frames, rows=rows, threshold=threshold, decisions=decisions)
        except MissingExtraError as error:
            self.notes = [f"No event metrics: {error}."]
            return None

    def _judge(
        self, truth: BoolArray, known: BoolArray, clusters: IntArray | None, threshold: FloatArray | None = None
    ) -> Judge:
        return Judge(
            truth,
            self.prior.values,
            known=known,
            clusters=clusters,
            threshold=self.options.plain_threshold if threshold is None else threshold,
            resamples=self.options.resamples,
            seed=self.options.seed,
        )


def _clusters(reference: Reference, resample: Resample) -> IntArray | None:
    """(R,) number of the site of each recording; None where recordings are drawn one by one."""
    if resample == "recording":
        return None
    if homeless := [name for name, site in zip(reference.recording_ids, reference.sites, strict=True) if site is None]:
        raise ConfigError(
            f"--resample site: {len(homeless)} of {len(reference.sites)} recordings have no site (first: {homeless[0]}); "
            f"{RECORDINGS_TABLE} needs the columns recording_id and site"
        )
    _, numbers = np.unique(np.array(reference.sites), return_inverse=True)
    return np.asarray(numbers, np.int64)


def _box_rows(system: Heard) -> IntArray:
    """(n,) recording of each judged box."""
    return np.repeat(np.arange(len(system.boxes)), [len(boxes) for boxes in system.boxes])


def _box_cells(system: Heard, num_species: int) -> Cells:
    boxes = [box for of_recording in system.boxes for box in of_recording]
    species, present = np.array([box.species_id for box in boxes], np.int64), [box.present for box in boxes]
    return box_cells(species, np.array(present, np.bool_), system.box_scores, num_species)


def _paired(part: Judged, rival: Judged | None) -> Scored | None:
    """The rival's boxes, where both models have the same: with other frames one of them may lose a very short box."""
    if rival is None or not np.array_equal(rival.boxes.judge.known, part.boxes.judge.known):
        return None
    return rival.boxes
