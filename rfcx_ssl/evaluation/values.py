"""The numbers of one model in one group, by name, each with its interval and its floors beside it (docs/evaluation.md).

NaN says that nothing could be judged. Floors end in ``_floor``, ends of intervals in ``_low`` and ``_high``, and margins
over the first model in ``_over_first``.
"""

from collections.abc import Sequence

import numpy as np

from rfcx_ssl.evaluation.judge import Floors, Scored
from rfcx_ssl.metrics import Interval
from rfcx_ssl.metrics.arrays import BoolArray, mean_or_nan
from rfcx_ssl.metrics.events import EventMetrics

NAN = float("nan")


def with_interval(name: str, interval: Interval) -> dict[str, float]:
    """A value and the ends of its interval, as columns."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def recording_values(raw: Scored, scaled: Scored | None, floors: Floors, *, intervals: bool) -> dict[str, float]:
    """Scores of whole recordings; with ``intervals`` also of those that take longer to draw than the LWLRAP."""
    known, judge = raw.judge.known, raw.judge
    values = with_interval("lwlrap", raw.intervals("lwlrap")[0]) | {
        "lwlrap_random_floor": floors.random.overall,
        "lwlrap_prior_floor": floors.prior.ranking.overall,
    }
    values |= with_interval("lwlrap_scaled", scaled.intervals("lwlrap")[0] if scaled else Interval(NAN, NAN, NAN))
    values |= _areas(raw, "", intervals=intervals)
    values |= {
        "map_random_floor": floors.random_map,
        "map_micro_random_floor": floors.random_map_micro,
        "auc_random_floor": _half_where_defined(raw.area.macro),
    }
    values |= _decisions(raw, "", intervals=intervals)
    return {
        "recordings": float(known.any(axis=1).sum()),
        "known_share": float(known.mean()),
        "present": float(judge.truth.sum()),
        "absent": float((known & ~judge.truth).sum()),
        **values,
    }


def box_values(raw: Scored, *, intervals: bool) -> dict[str, float]:
    """Scores of judged boxes. A class prior says the same of all boxes of a species: chance is their only floor."""
    judge, floors = raw.judge, raw.judge.floors()
    values = {
        "boxes_present": float(judge.truth.sum()),
        "boxes_absent": float((judge.known & ~judge.truth).sum()),
        **_areas(raw, "box_", intervals=intervals),
        "box_map_random_floor": floors.random_map,
        "box_map_micro_random_floor": floors.random_map_micro,
        "box_auc_random_floor": _half_where_defined(raw.area.macro),
    }
    return values | _decisions(raw, "box_", intervals=intervals)


def event_values(found: EventMetrics | None, always: EventMetrics | None) -> dict[str, float]:
    """Scores of events; their floor is to hear every species all the time."""
    values: dict[str, float] = {}
    for name in ("segment_f1", "segment_f1_best", "event_f1", "event_f1_best", "psds"):
        values[name] = getattr(found, name).macro if found else NAN
    for name in ("segment_f1_best", "event_f1_best", "psds"):
        values[f"{name}_always_floor"] = getattr(always, name).macro if always else NAN
    return values


def margin_values(raw: Scored, first: Scored | None, prefix: str, names: Sequence[str]) -> dict[str, float]:
    """Margins over the first model, on the same draws; NaN for the first itself."""
    nothing = Interval(NAN, NAN, NAN)
    margins = {name: raw.over(first, name) if first else nothing for name in names}
    return {
        key: value
        for name, margin in margins.items()
        for key, value in with_interval(f"{prefix}{name}_over_first", margin).items()
    }


def _areas(raw: Scored, prefix: str, *, intervals: bool) -> dict[str, float]:
    """Average precision and ROC-AUC, macro and micro."""
    values: dict[str, float] = {}
    for name, found in (("map", raw.precision), ("auc", raw.area)):
        macro, micro = raw.intervals(name)[:2] if intervals else (_bare(found.macro), _bare(found.micro))
        values |= with_interval(f"{prefix}{name}", macro) | with_interval(f"{prefix}{name}_micro", micro)
    return values


def _decisions(raw: Scored, prefix: str, *, intervals: bool) -> dict[str, float]:
    """Detections at the threshold (NaN where each species has its own): pooled over all cells, and F1 as the mean over species."""
    judge, size = raw.judge, raw.judge.truth.shape[1] + 1
    drawn = raw.intervals("decisions") if intervals else [_bare(value) for value in np.concatenate(raw.decisions)]
    values = {f"{prefix}threshold": NAN if isinstance(judge.threshold, np.ndarray) else judge.threshold}
    for place, name in enumerate(("precision", "recall", "f1")):
        values |= with_interval(f"{prefix}{name}", drawn[(place + 1) * size - 1])
    share = _share(judge.truth, judge.refutable)
    return values | {
        f"{prefix}f1_macro": mean_or_nan(raw.decisions.f1[:-1]),
        f"{prefix}f1_always_floor": 2 * share / (1 + share) if share else NAN,
    }


def _bare(value: float) -> Interval:
    return Interval(float(value), NAN, NAN)


def _share(truth: BoolArray, known: BoolArray) -> float:
    """Share of the cells that are present: the precision of detecting everything."""
    return float((truth & known).sum() / max(known.sum(), 1))


def _half_where_defined(value: float) -> float:
    return 0.5 if value == value else NAN
