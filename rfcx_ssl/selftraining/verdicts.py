"""Rounds held against each other: scores with intervals, and differences on the same resampled recordings."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.judge import Judge, Scored
from rfcx_ssl.metrics import Interval
from rfcx_ssl.selftraining.arms import CONTROL, TEACHERS
from rfcx_ssl.selftraining.held_out import Tables
from rfcx_ssl.selftraining.rounds_settings import RoundMetric
from rfcx_ssl.training.crossval import box_arrays, mean_over_seeds, recording_arrays
from rfcx_ssl.training.scores import Cells, needs

#: Name -> of boxes or of recordings, and the measure of :mod:`rfcx_ssl.evaluation.judge`.
MEASURES = {
    "lwlrap": ("recordings", "lwlrap"),
    "map": ("recordings", "map"),
    "auc": ("recordings", "auc"),
    "box_auc": ("boxes", "auc"),
    "box_map": ("boxes", "map"),
}
#: The same without an interval.
POINTS: Mapping[str, Callable[[Scored], float]] = {
    "lwlrap": lambda scored: scored.ranking.overall,
    "map": lambda scored: scored.precision.macro,
    "auc": lambda scored: scored.area.macro,
}
UNDEFINED = Interval(math.nan, math.nan, math.nan)


class Keyed(NamedTuple):
    """What is judged, with the names of its rows: only the same rows can be compared."""

    keys: tuple[object, ...]
    scored: Scored


@dataclass(frozen=True)
class Verdict:
    """An arm on one part of the data: the mean of what its models say of each recording and box."""

    parts: Mapping[str, Keyed]  # recordings and boxes
    of_seeds: tuple["Verdict", ...] = ()  # the models of each seed alone, where there are several

    def value(self, measure: str) -> Interval:
        """One of ``MEASURES`` with its interval; NaN where nothing can be judged."""
        part, kind = MEASURES[measure]
        return self.parts[part].scored.intervals(kind)[0]

    def seeds(self, measure: str) -> list[float]:
        """The value of each seed alone; none where there is one seed."""
        part, kind = MEASURES[measure]
        return [POINTS[kind](verdict.parts[part].scored) for verdict in self.of_seeds]

    def over(self, other: "Verdict", measure: str) -> Interval:
        """The difference to another arm, paired; NaN where the two were not judged on the same rows."""
        part, kind = MEASURES[measure]
        own, rival = self.parts[part], other.parts[part]
        return own.scored.over(rival.scored, kind) if own.keys == rival.keys else UNDEFINED


def judge(tables: Tables, resamples: int) -> Verdict:
    """Judge what the models of an arm say; all arms are resampled alike."""
    seeds = sorted(tables.recordings["seed"].unique())
    of_seeds = (
        [Tables(*(table[table["seed"] == seed] for table in tables)) for seed in seeds] if len(seeds) > 1 else []
    )
    return Verdict(_parts(tables, resamples), tuple(Verdict(_parts(of_seed, resamples)) for of_seed in of_seeds))


def _parts(tables: Tables, resamples: int) -> dict[str, Keyed]:
    recordings = mean_over_seeds(tables.recordings, ["recording_id"])
    boxes = mean_over_seeds(tables.boxes, ["recording_id", "box"])
    whole, _ = recording_arrays(recordings)
    of_boxes = box_arrays(boxes, whole.truth.shape[1])
    _, clusters = np.unique(boxes["recording_id"].to_numpy(dtype=str), return_inverse=True)
    return {
        "recordings": Keyed(tuple(recordings["recording_id"]), _scored(whole, None, resamples)),
        "boxes": Keyed(
            tuple(zip(boxes["recording_id"], boxes["box"], strict=True)), _scored(of_boxes, clusters, resamples)
        ),
    }


def _scored(cells: Cells, clusters: NDArray[np.int64] | None, resamples: int) -> Scored:
    nothing = np.zeros(cells.truth.shape[1])  # a prevalence is for floors, which nobody asks for here
    judge = Judge(cells.truth, nothing, known=cells.known, clusters=clusters, resamples=resamples)
    return judge.score(np.asarray(cells.scores, np.float64))


def choose_metric(verdict: Verdict, wanted: RoundMetric) -> str:
    """The metric that decides: ``auto`` is LWLRAP where whole recordings can be ranked, else the AUC of boxes.

    Raises:
        ConfigError: nothing can be judged by it.
    """
    order = ("lwlrap", "box_auc") if wanted == "auto" else (wanted,)
    for name in order:
        if not math.isnan(verdict.value(name).value):
            return name
    raise ConfigError(f"metric={wanted}: rounds cannot be judged out of fold, which needs {needs(order[-1])}")


def best_round(scores: Mapping[str, float]) -> str:
    """The round with the highest score, the earliest of equal ones; the control is none."""
    rounds = {name: score for name, score in scores.items() if name != CONTROL and not math.isnan(score)}
    return max(rounds, key=lambda name: rounds[name]) if rounds else TEACHERS
