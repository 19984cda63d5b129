"""From evidence to decisions for every species, and to the numbers that say what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from rfcx_ssl.decoding.decisions import Decisions, decide
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.tuning.calibrate import Calibration, calibrate, score_map
from rfcx_ssl.tuning.calls import count_calls
from rfcx_ssl.tuning.choose import Decided, Worth, choose_own, choose_shared, worth
from rfcx_ssl.tuning.criterion import Criterion
from rfcx_ssl.tuning.evidence import KINDS, Cells, Evidence, Kind
from rfcx_ssl.tuning.tally import (
    MEDIANS_S,
    MIN_DURATIONS_S,
    THRESHOLDS,
    Candidate,
    IntArray,
    Tally,
    candidates,
    count_scores,
    pooled,
)

Judge: TypeAlias = Literal["auto", "calls", "boxes", "recordings"]
DEFAULT = int(np.flatnonzero(THRESHOLDS == 0.5)[0])  # what nobody chose: this threshold with the first smoothing
ABSENT: Mapping[Kind, str] = {
    "calls": "seconds without one",
    "boxes": "absent boxes",
    "recordings": "recordings without",
}
SMALLEST = 1e-6  # a threshold that is mapped to 0 would be none


@dataclass(frozen=True)
class TuneOptions:
    """What to choose by, on what, and how much of it a species needs to be tuned by itself."""

    criterion: Criterion
    judge: Judge = "auto"
    min_positives: int = 10

    def __post_init__(self) -> None:
        if self.min_positives < 1:
            raise ConfigError(f"--min-positives {self.min_positives}: must be at least 1")


@dataclass(frozen=True)
class SpeciesTuning:
    """What was decided for one species, or for all that are not tuned by themselves."""

    name: str
    own: bool  # decided by its own cells, not by those of all species together
    positives: int
    negatives: int
    hours: float  # of recordings whose every call is known
    decided: Decided
    choice: Candidate
    untuned: Worth  # of the defaults, on the same recordings
    calibration: Calibration
    own_calibration: bool
    cells: Cells  # what the calibration is judged on


@dataclass(frozen=True)
class Tuned:
    """Decisions of one model, and how they came about."""

    kind: Kind
    options: TuneOptions
    species: tuple[SpeciesTuning, ...]
    everyone: SpeciesTuning  # all species together
    groups: str  # what was left out in turn, in words

    @property
    def shared(self) -> list[str]:
        """Species that are decided for by all together."""
        return [row.name for row in self.species if not row.own]

    def decisions(self, names: Sequence[str], about: Mapping[str, Any]) -> Decisions:
        """Decisions for the species of a model, which may know more of them than the labels.

        What was chosen on scores is carried through the calibration: it makes other numbers of them, not other events.
        """
        row_of = {row.name: row for row in self.species}
        rows = [row_of.get(name, self.everyone) for name in names]
        calibration = score_map([row.calibration.curve for row in rows])
        threshold = np.array([row.choice.threshold for row in rows], np.float32)
        high, low = (
            np.maximum(calibration(level).astype(np.float64), SMALLEST) for level in (threshold, threshold / 2)
        )
        return decide(
            names,
            calibration=calibration,
            about=about,
            threshold=high,
            low_threshold=low,
            median_s=np.array([row.choice.median_s for row in rows]),
            min_duration_s=np.array([row.choice.min_duration_s for row in rows]),
        )


def tune(evidence: Evidence, options: TuneOptions) -> Tuned:
    """Choose for every species that has enough present and absent cells, and once for all the others.

    Raises:
        AnnotationError: there is nothing to choose by; the message says how much is needed.
    """
    kind = choose_kind(evidence, options)
    positives, negatives = evidence.counts(kind)
    enough = np.minimum(positives, negatives) >= options.min_positives
    medians_s, min_durations_s = (
        (MEDIANS_S, MIN_DURATIONS_S) if kind == "calls" else (MEDIANS_S[:1], MIN_DURATIONS_S[:1])
    )
    grid = candidates(medians_s, min_durations_s)
    cells, group = evidence.cells(kind), evidence.groups.of_recording
    tallies = _tallies(evidence, kind, cells, medians_s, min_durations_s)
    every = pooled([tally for tally in tallies if tally.there.any()])
    shared_map = calibrate(cells.scores, cells.present, group[cells.recording])
    rows = []
    for species, name in enumerate(evidence.species):
        own, mine, tally = bool(enough[species]), cells.of(species), tallies[species]
        by_itself = own and len(mine.scores) > 0 and 0 < mine.present.sum() < len(mine.scores)
        decided = (
            choose_own(tally, options.criterion, len(grid) // len(THRESHOLDS))
            if own
            else choose_shared(tally, every, options.criterion)
        )
        rows.append(
            SpeciesTuning(
                name,
                own,
                int(positives[species]),
                int(negatives[species]),
                float(tally.hours.sum()),
                decided,
                grid[decided.candidate],
                worth(tally.on(), DEFAULT),
                calibrate(mine.scores, mine.present, group[mine.recording]) if by_itself else shared_map,
                by_itself,
                mine,
            )
        )
    everyone = choose_shared(every, every, options.criterion)
    total = SpeciesTuning(
        "all species",
        False,
        int(positives.sum()),
        int(negatives.sum()),
        float(every.hours.sum()),
        everyone,
        grid[everyone.candidate],
        worth(every.on(), DEFAULT),
        shared_map,
        False,
        cells,
    )
    return Tuned(kind, options, tuple(rows), total, evidence.groups.what)


def choose_kind(evidence: Evidence, options: TuneOptions) -> Kind:
    """What decisions are judged by: what was asked for, else that of which the most species have enough.

    Raises:
        AnnotationError: of none there is enough, even for all species together, or false alarms cannot be counted.
    """
    wanted: tuple[Kind, ...] = KINDS if options.judge == "auto" else (options.judge,)
    if options.criterion.kind == "false-alarms":
        if "calls" not in wanted or evidence.timed is None:
            raise AnnotationError(
                f"--criterion {options.criterion}: false alarms by the hour need hours of complete recordings, whose every call "
                "is marked with its times (truth.csv, or data.complete_file); there are none to judge by here"
            )
        wanted = ("calls",)
    need, worth_of, told = options.min_positives, {}, []
    for kind in wanted:
        present, absent = evidence.counts(kind)
        worth_of[kind] = (
            int((np.minimum(present, absent) >= need).sum()),
            min(present.sum(), absent.sum(), need) >= need,
        )
        told.append(
            f"{present.sum()} {'calls' if kind == 'calls' else f'present {kind}'}, {absent.sum()} {ABSENT[kind]}"
        )
    best = max(wanted, key=worth_of.__getitem__)
    if not worth_of[best][1]:
        raise AnnotationError(
            f"nothing can be tuned: it takes {need} of both kinds, of all species together (--min-positives); there are "
            + "; ".join(told)
        )
    return best


def _tallies(
    evidence: Evidence, kind: Kind, cells: Cells, medians_s: Sequence[float], min_durations_s: Sequence[float]
) -> list[Tally]:
    """What every candidate finds of each species."""
    groups, size = evidence.groups, len(evidence.species)
    if kind == "calls" and evidence.timed is not None:
        return count_calls(evidence.timed, size, groups, THRESHOLDS.tolist(), medians_s, min_durations_s)
    by_species: list[IntArray] = [np.flatnonzero(cells.species == species) for species in range(size)]
    return [
        count_scores(cells.scores[own], cells.present[own], groups.of_recording[cells.recording[own]], groups.count)
        for own in by_species
    ]
