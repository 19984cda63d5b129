"""From evidence to decisions for every species, and to the numbers that say what they are worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from rfcx_ssl.decoding.decisions import Decisions, decide
from rfcx_ssl.decoding.settings import DEFAULT_DECODER, DecoderKind
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.metrics.arrays import mean_or_nan
from rfcx_ssl.tuning.calibrate import Calibration, calibrate, score_map
from rfcx_ssl.tuning.calls import count_calls
from rfcx_ssl.tuning.choose import Decided, Shared, Worth, choose_own, mean_worth, worth
from rfcx_ssl.tuning.criterion import Criterion
from rfcx_ssl.tuning.evidence import KINDS, Cells, Evidence, Kind, Timed
from rfcx_ssl.tuning.tally import (
    SHAPES,
    THRESHOLDS,
    Candidate,
    Tally,
    blocks,
    candidates,
    count_scores,
    defaults,
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
    """What to choose by, on what, how much of it a species needs to be tuned by itself, and for which decoder."""

    criterion: Criterion
    judge: Judge = "auto"
    min_positives: int = 5
    decoder: DecoderKind = DEFAULT_DECODER

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

        What was chosen on scores is carried through the calibration: it makes other numbers of them, not other events. Change
        points were chosen on calibrated frames.
        """
        row_of = {row.name: row for row in self.species}
        rows = [row_of.get(name, self.everyone) for name in names]
        calibration = score_map([row.calibration.curve for row in rows])
        values = {key: np.array([row.choice[key] for row in rows]) for key in self.everyone.choice}
        if self.options.decoder == "hysteresis":
            threshold = values["threshold"].astype(np.float32)
            for key, level in (("threshold", threshold), ("low_threshold", threshold / 2)):
                values[key] = np.maximum(calibration(level).astype(np.float64), SMALLEST)
        return decide(names, decoder=self.options.decoder, calibration=calibration, about=about, **values)


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
        self.own = np.minimum(self.positives, self.negatives) >= options.min_positives
        self.shapes = SHAPES[options.decoder] if self.kind == "calls" else defaults(options.decoder)
        self.grid = candidates(self.shapes)
        self.cells = evidence.cells(self.kind)
        each = range(len(evidence.species))
        self.shared_map = self._calibrate(self.cells)
        self.maps = [self._calibrate(self.cells.of(s)) if self.own[s] else self.shared_map for s in each]
        self.tallies, self.untuned = self._tallies()
        self.shared = Shared([tally for tally in self.tallies if tally.there.any()], options.criterion)

    def species(self, species: int) -> SpeciesTuning:
        """One species by itself, where it has enough, else as all together."""
        tally, own = self.tallies[species], bool(self.own[species])
        smoothings = len(blocks(self.shapes))
        decided = choose_own(tally, self.options.criterion, smoothings) if own else self.shared.decide(tally)
        return SpeciesTuning(
            name=self.evidence.species[species],
            own=own,
            positives=int(self.positives[species]),
            negatives=int(self.negatives[species]),
            hours=float(tally.hours.sum()),
            decided=decided,
            choice=self.grid[decided.candidate],
            untuned=self.untuned[species],
            calibration=self.maps[species],
            cells=self.cells.of(species),
        )

    def everyone(self) -> SpeciesTuning:
        """The decision that species share, and what it would be worth for all of them on average."""
        known = [species for species, tally in enumerate(self.tallies) if tally.there.any()]
        each = [self.shared.decide(self.tallies[species]) for species in known]
        here, crossed = mean_worth([one.here for one in each]), mean_worth([one.crossed for one in each])
        return SpeciesTuning(
            name="all species",
            own=False,
            positives=int(self.positives.sum()),
            negatives=int(self.negatives.sum()),
            hours=float(self.tallies[0].hours.sum()),
            decided=each[0]._replace(here=here, crossed=crossed),
            choice=self.grid[each[0].candidate],
            untuned=mean_worth([self.untuned[species] for species in known]),
            calibration=self.shared_map,
            cells=self.cells,
        )

    def _calibrate(self, cells: Cells) -> Calibration:
        return calibrate(cells.scores, cells.present, self.evidence.groups.of_recording[cells.recording])

    def _tallies(self) -> tuple[list[Tally], list[Worth]]:
        """What every candidate finds of each species, and what the defaults are worth.

        A calibration moves the steps between frames, and with them the boxes of change points: these are looked for in
        calibrated frames, as they will be, but for the defaults.
        """
        groups, size = self.evidence.groups, len(self.evidence.species)
        if self.kind != "calls" or self.evidence.timed is None:
            own = [self.cells.of(species) for species in range(size)]
            tallies = [count_scores(c.scores, c.present, groups.of_recording[c.recording], groups.count) for c in own]
        elif self.options.decoder == "change_point":
            return self._change_points(self.evidence.timed)
        else:
            tallies = count_calls(self.evidence.timed, size, groups, "hysteresis", THRESHOLDS.tolist(), self.shapes)
        return tallies, [worth(tally.on(), DEFAULT) for tally in tallies]

    def _change_points(self, timed: Timed) -> tuple[list[Tally], list[Worth]]:
        groups, size = self.evidence.groups, len(self.evidence.species)
        scores = score_map([own.curve for own in self.maps])
        calibrated = replace(timed, frames={row: scores(frames) for row, frames in timed.frames.items()})
        tallies = count_calls(calibrated, size, groups, "change_point", THRESHOLDS.tolist(), self.shapes)
        plain = count_calls(timed, size, groups, "change_point", [THRESHOLDS[DEFAULT]], defaults("change_point"))
        return tallies, [worth(tally.on()) for tally in plain]


def choose_kind(evidence: Evidence, options: TuneOptions) -> Kind:
    """What decisions are judged by: what was asked for, else that of which the most species have enough.

    Raises:
        AnnotationError: of none there is enough, even for all species together, or there are no events to judge.
    """
    wanted: tuple[Kind, ...] = KINDS if options.judge == "auto" else (options.judge,)
    if options.criterion.kind == "false-alarms":
        if "calls" not in wanted or evidence.timed is None:
            raise AnnotationError(
                f"--criterion {options.criterion}: false alarms by the hour need hours of complete recordings, whose every call "
                "is marked with its times (truth.csv, or data.complete_file); there are none to judge by here"
            )
        wanted = ("calls",)
    if options.decoder == "change_point":
        if "calls" not in wanted or evidence.timed is None:
            raise AnnotationError(
                "--decoder change_point: boxes are judged by their starts and ends, in recordings whose every call is marked with "
                "its times (truth.csv, or data.complete_file); there are none to judge by here"
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
