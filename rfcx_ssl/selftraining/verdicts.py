"""Rounds held against each other: scores with intervals, and differences on the same resampled recordings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.judge import Judge, Scored
from rfcx_ssl.metrics import Interval
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
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
UNDEFINED = Interval(math.nan, math.nan, math.nan)


class Keyed(NamedTuple):
    """What is judged, with the names of its rows: only the same rows can be compared."""

    keys: tuple[object, ...]
    scored: Scored


@dataclass(frozen=True)
class Verdict:
    """An arm on one part of the data: the mean of what its models say of each recording and box."""

    parts: Mapping[str, Keyed]  # recordings and boxes

    def value(self, measure: str) -> Interval:
        """One of ``MEASURES`` with its interval; NaN where nothing can be judged."""
        part, kind = MEASURES[measure]
        return self.parts[part].scored.intervals(kind)[0]

    def over(self, other: "Verdict", measure: str) -> Interval:
        """The difference to another arm, paired; NaN where the two were not judged on the same rows."""
        part, kind = MEASURES[measure]
        own, rival = self.parts[part], other.parts[part]
        return own.scored.over(rival.scored, kind) if own.keys == rival.keys else UNDEFINED


def judge(tables: Tables, resamples: int) -> Verdict:
    """Judge what the models of an arm say; draws of all arms are the same, by their seed."""
    recordings = mean_over_seeds(tables.recordings, ["recording_id"])
    boxes = mean_over_seeds(tables.boxes, ["recording_id", "box"])
    whole, _ = recording_arrays(recordings)
    num_species = whole.truth.shape[1]
    of_boxes = box_arrays(boxes, num_species)
    names = tuple(recordings["recording_id"])
    keys = tuple(zip(boxes["recording_id"], boxes["box"], strict=True))
    _, clusters = np.unique(boxes["recording_id"].to_numpy(dtype=str), return_inverse=True)
    parts = {
        "recordings": Keyed(names, Judge(*_facts(whole), known=whole.known, resamples=resamples).score(whole.scores)),
        "boxes": Keyed(
            keys,
            Judge(*_facts(of_boxes), known=of_boxes.known, clusters=clusters, resamples=resamples).score(
                of_boxes.scores
            ),
        ),
    }
    return Verdict(parts)


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


def _facts(cells: Cells) -> tuple[BoolArray, FloatArray]:
    """Truth, and a prevalence of nothing: floors are not asked for."""
    return cells.truth, np.zeros(cells.truth.shape[1])
