"""Segment-based F1, event-based F1 and PSDS of frame scores, computed by sed_scores_eval (extra ``events``).

F1 is given at one threshold for all species and at each species' best threshold *on these very recordings*: the first
is what a user gets, the second an upper bound. PSDS needs no threshold.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.errors import require_extra
from rfcx_ssl.metrics.arrays import FloatArray, mean_or_nan
from rfcx_ssl.settings import settings

Call: TypeAlias = tuple[float, float, int]  # start_s, end_s, species


@settings
class EventMetricSettings:
    """What counts as found. The collars are those of DCASE task 4, the PSDS tolerances its first scenario's."""

    threshold: float = 0.5  # of the F1 values that do not choose their own
    segment_s: float = 1.0  # segment-based F1: length of a segment
    onset_collar_s: float = 0.2  # event-based F1: how far off the start may be
    offset_collar_s: float = 0.2  # ... and the end,
    offset_collar_rate: float = 0.2  # which may be off by this share of the call, if that is more
    psds_detection_tolerance: float = 0.7  # share of a detection that must lie on calls
    psds_call_tolerance: float = 0.7  # share of a call that must be covered
    psds_max_false_per_hour: float = 100.0  # the area under recall over false detections per hour ends here

    def __post_init__(self) -> None:
        for key in ("threshold", "offset_collar_rate", "psds_detection_tolerance", "psds_call_tolerance"):
            if not 0 <= getattr(self, key) <= 1:
                raise ValueError(f"{key}={getattr(self, key)} must be in [0, 1]")
        for key in ("segment_s", "onset_collar_s", "offset_collar_s", "psds_max_false_per_hour"):
            if not getattr(self, key) > 0:
                raise ValueError(f"{key}={getattr(self, key)} must be above 0")


class PerSpecies(NamedTuple):
    """A value for each of S species, NaN for a species without calls, and the mean of the others."""

    macro: float
    per_class: FloatArray  # (S,)


class EventMetrics(NamedTuple):
    """See the module's docstring; all in [0, 1]."""

    segment_f1: PerSpecies
    segment_f1_best: PerSpecies
    event_f1: PerSpecies
    event_f1_best: PerSpecies
    psds: PerSpecies


def event_metrics(
    scores: Sequence[NDArray[Any]],
    calls: Sequence[Sequence[Call]],
    durations_s: Sequence[float],
    frame_s: float,
    options: EventMetricSettings | None = None,
) -> EventMetrics:
    """Judge frame ``scores`` of R recordings, each (T, S), against all ``calls`` in them.

    Frame k covers ``[k * frame_s, (k + 1) * frame_s)``. Calls of one species that touch or overlap count as one, and
    what lies beyond a recording's end is cut off. Species without any call are not judged at all.

    Raises:
        MissingExtraError: sed_scores_eval is not installed.
        ValueError: the sequences differ in length, or scores in shape.
    """
    with warnings.catch_warnings():  # raised by a package that sed_scores_eval imports
        warnings.filterwarnings("ignore", "pkg_resources is deprecated", UserWarning)
        require_extra("sed_scores_eval", "events")
    from sed_scores_eval import collar_based, intersection_based, segment_based

    chosen = options or EventMetricSettings()
    num_species = _check(scores, calls, durations_s)
    merged = [merge_calls(own, duration) for own, duration in zip(calls, durations_s, strict=True)]
    judged = sorted({species for own in merged for _, _, species in own})
    if not judged:
        nothing = PerSpecies(float("nan"), np.full(num_species, np.nan))
        return EventMetrics(nothing, nothing, nothing, nothing, nothing)
    tables, truth = {}, {}
    for row, (frames, own) in enumerate(zip(scores, merged, strict=True)):
        tables[str(row)] = _score_table(np.asarray(frames)[:, judged], [str(s) for s in judged], frame_s)
        truth[str(row)] = [(start, end, str(species)) for start, end, species in own]
    seconds = {str(row): float(duration) for row, duration in enumerate(durations_s)}
    by_segment = {"audio_durations": seconds, "segment_length": chosen.segment_s}
    # the library's slow part, shared by the fixed and the best threshold
    by_segment["deltas"] = segment_based.intermediate_statistics.intermediate_statistics_deltas(
        tables, truth, **by_segment
    )
    by_collar = {
        "onset_collar": chosen.onset_collar_s,
        "offset_collar": chosen.offset_collar_s,
        "offset_collar_rate": chosen.offset_collar_rate,
    }
    by_collar["deltas"] = collar_based.intermediate_statistics.intermediate_statistics_deltas(
        tables, truth, **by_collar
    )
    _, psds, _, _ = intersection_based.psds(
        tables,
        truth,
        seconds,
        dtc_threshold=chosen.psds_detection_tolerance,
        gtc_threshold=chosen.psds_call_tolerance,
        max_efpr=chosen.psds_max_false_per_hour,
    )
    values = (
        segment_based.fscore(tables, truth, threshold=chosen.threshold, **by_segment)[0],
        segment_based.best_fscore(tables, truth, **by_segment)[0],
        collar_based.fscore(tables, truth, threshold=chosen.threshold, **by_collar)[0],
        collar_based.best_fscore(tables, truth, **by_collar)[0],
        psds,
    )
    return EventMetrics(*(_spread(value, judged, num_species) for value in values))


def merge_calls(calls: Sequence[Call], duration_s: float) -> list[Call]:
    """Calls inside ``[0, duration_s]`` in time order, those of one species that touch or overlap made one."""
    merged: dict[int, list[Call]] = {}
    for start, end, species in sorted(calls):
        start, end = max(float(start), 0.0), min(float(end), duration_s)
        own = merged.setdefault(species, [])
        if own and start <= own[-1][1]:
            own[-1] = (own[-1][0], max(end, own[-1][1]), species)
        elif start < end:
            own.append((start, end, species))
    return sorted(call for own in merged.values() for call in own)


def _score_table(frames: NDArray[Any], names: list[str], frame_s: float) -> Any:  # noqa: ANN401 - pandas comes late
    """The library's data frame: onset, offset and one column per species (its own maker predates pandas 3)."""
    import pandas as pd

    class WritableFrame(pd.DataFrame):
        """Its arrays may be written to: the library's C code asks for that, and pandas 3 hands out views."""

        @property
        def _constructor(self) -> type["WritableFrame"]:
            return WritableFrame

        def to_numpy(self, *args: Any, **kwargs: Any) -> NDArray[Any]:  # noqa: ANN401 - as in the base class
            return np.array(super().to_numpy(*args, **kwargs))

    stamps = np.round(np.arange(len(frames) + 1) * frame_s, 6)
    values = np.column_stack([stamps[:-1], stamps[1:], frames.astype(np.float64)])
    return WritableFrame(values, columns=["onset", "offset", *names])


def _spread(values: Mapping[str, float], judged: Sequence[int], num_species: int) -> PerSpecies:
    """The library's values by class name, as an array over all species; its own averages are left out."""
    per_class = np.full(num_species, np.nan)
    per_class[list(judged)] = [float(values[str(species)]) for species in judged]
    return PerSpecies(mean_or_nan(per_class), per_class)


def _check(scores: Sequence[NDArray[Any]], calls: Sequence[Sequence[Call]], durations_s: Sequence[float]) -> int:
    if not len(scores) == len(calls) == len(durations_s):
        raise ValueError(f"need one entry per recording, got {len(scores)}, {len(calls)}, {len(durations_s)}")
    widths = {frames.shape[1:] for frames in scores}
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise ValueError(f"all scores must be (T, S) with one S, got {sorted(widths)}")
    return int(next(iter(widths))[0])
