"""From evidence to decisions for every species, and to the numbers that say what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from rfcx_ssl.decoding.decisions import Decisions, decide
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.metrics.arrays import mean_or_nan
from rfcx_ssl.tuning.calibrate import Calibration, calibrate, score_map
from rfcx_ssl.tuning.calls import count_calls
from rfcx_ssl.tuning.choose import Decided, Shared, Worth, choose_own, mean_worth, worth
from rfcx_ssl.tuning.criterion import Criterion
from rfcx_ssl.tuning.evidence import KINDS, Cells, Evidence, Kind
from rfcx_ssl.tuning.tally import (
    MEDIANS_S,
    MIN_DURATIONS_S,
    THRESHOLDS,
    Candidate,
    Tally,
    candidates,
    count_scores,
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
    min_positives: int = 5

    def __post_init__(self) -> None:
        if self.min_positives < 1:
            raise ConfigError(f"--min-positives {self.min_positives}: must be at least 1")


@dataclass(frozen=True)
class SpeciesTuning:
    """What was decided for one species, or for all that are not tuned by themselves."""

    name: str
    own: bool  # decided and calibrated by its own cells, not by those of all species together
    positives: int
    negatives: int
    hours: float  # of recordings whose every call is known
    decided: Decided
    choice: Candidate
    untuned: Worth  # of the defaults, on the same recordings
    calibration: Calibration
    cells: Cells  # what the calibration is judged on


@dataclass(frozen=True)
class Tuned:
    """Decisions of one model, and how they came about."""

    kind: Kind
    options: TuneOptions
    species: tuple[SpeciesTuning, ...]
    everyone: SpeciesTuning  # all species together
    groups: str  # what was left out in turn, in words
    folds: int  # in how many groups

    def mean(self, part: Literal["here", "crossed", "untuned"]) -> float | None:
        """F1 as the mean over the species in which it is defined, of what was decided or of the defaults; None without any."""
        of_all = [row.untuned if part == "untuned" else getattr(row.decided, part) for row in self.species]
        value = mean_or_nan(np.array([worth.f1 for worth in of_all]))
        return None if np.isnan(value) else value

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
    bench = _Bench(evidence, options)
    rows = tuple(bench.species(species) for species in range(len(evidence.species)))
    return Tuned(bench.kind, options, rows, bench.everyone(), evidence.groups.what, evidence.groups.count)


class _Bench:
    """What all species are tuned with."""

    def __init__(self, evidence: Evidence, options: TuneOptions) -> None:
        self.evidence, self.options = evidence, options
        self.kind = choose_kind(evidence, options)
        self.positives, self.negatives = evidence.counts(self.kind)
        smooth = self.kind == "calls"
        self.medians_s = MEDIANS_S if smooth else MEDIANS_S[:1]
        self.min_durations_s = MIN_DURATIONS_S if smooth else MIN_DURATIONS_S[:1]
        self.grid = candidates(self.medians_s, self.min_durations_s)
        self.cells = evidence.cells(self.kind)
        self.tallies = self._tallies()
        self.shared = Shared([tally for tally in self.tallies if tally.there.any()], options.criterion)
        self.shared_map = self._calibrate(self.cells)

    def species(self, species: int) -> SpeciesTuning:
        """One species by itself, where it has enough, else as all together."""
        tally, cells, criterion = self.tallies[species], self.cells.of(species), self.options.criterion
        positives, negatives = int(self.positives[species]), int(self.negatives[species])
        own = min(positives, negatives) >= self.options.min_positives
        decided = (
            choose_own(tally, criterion, len(self.medians_s) * len(self.min_durations_s))
            if own
            else self.shared.decide(tally)
        )
        return SpeciesTuning(
            name=self.evidence.species[species],
            own=own,
            positives=positives,
            negatives=negatives,
            hours=float(tally.hours.sum()),
            decided=decided,
            choice=self.grid[decided.candidate],
            untuned=worth(tally.on(), DEFAULT),
            calibration=self._calibrate(cells) if own else self.shared_map,
            cells=cells,
        )

    def everyone(self) -> SpeciesTuning:
        """The decision that species share, and what it would be worth for all of them on average."""
        tallies = [tally for tally in self.tallies if tally.there.any()]
        each = [self.shared.decide(tally) for tally in tallies]
        here, crossed = mean_worth([one.here for one in each]), mean_worth([one.crossed for one in each])
        return SpeciesTuning(
            name="all species",
            own=False,
            positives=int(self.positives.sum()),
            negatives=int(self.negatives.sum()),
            hours=float(tallies[0].hours.sum()),
            decided=each[0]._replace(here=here, crossed=crossed),
            choice=self.grid[each[0].candidate],
            untuned=mean_worth([worth(tally.on(), DEFAULT) for tally in tallies]),
            calibration=self.shared_map,
            cells=self.cells,
        )

    def _calibrate(self, cells: Cells) -> Calibration:
        return calibrate(cells.scores, cells.present, self.evidence.groups.of_recording[cells.recording])

    def _tallies(self) -> list[Tally]:
        """What every candidate finds of each species."""
        groups, size = self.evidence.groups, len(self.evidence.species)
        if self.kind == "calls" and self.evidence.timed is not None:
            lists = (THRESHOLDS.tolist(), self.medians_s, self.min_durations_s)
            return count_calls(self.evidence.timed, size, groups, *lists)
        own = [self.cells.of(species) for species in range(size)]
        return [count_scores(c.scores, c.present, groups.of_recording[c.recording], groups.count) for c in own]


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
