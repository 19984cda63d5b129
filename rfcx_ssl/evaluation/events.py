"""Frame probabilities judged as events, in the recordings whose every call is marked with its times."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.decisions import Decisions
from rfcx_ssl.evaluation.decided import decided_frames
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.events import EventMetrics, EventMetricSettings, event_metrics


def judge_events(
    reference: Reference,
    heard: Heard,
    frames: Mapping[int, NDArray[Any]],
    *,
    rows: BoolArray | None = None,
    threshold: float = 0.5,
    decisions: Decisions | None = None,
) -> EventMetrics:
    """Frame probabilities, (T, S) by row, against all calls of the ``rows`` (R,) that are timed; all of these by default.

    With ``decisions``, F1 that chooses no threshold of its own is that of the events they make of the frames.
    The thresholds tried lie 0.01 apart in log odds: 2.5 times faster than trying every score, within 0.01 of it.

    Raises:
        MissingExtraError: sed_scores_eval is not installed.
    """
    chosen = np.flatnonzero(reference.timed if rows is None else reference.timed & rows).tolist()
    calls = [[(call.start_s, call.end_s, call.species_id) for call in reference.calls[row]] for row in chosen]
    durations_s, options = [heard.durations_s[row] for row in chosen], EventMetricSettings(threshold=threshold)
    found = event_metrics([_coarse(frames[row]) for row in chosen], calls, durations_s, heard.grid.frame_s, options)
    if decisions is None:
        return found
    inside = decided_frames({row: frames[row] for row in chosen}, decisions, heard.grid)
    decided = event_metrics([inside[row] for row in chosen], calls, durations_s, heard.grid.frame_s)
    return found._replace(segment_f1=decided.segment_f1, event_f1=decided.event_f1)


def always(heard: Heard, prevalence: FloatArray) -> dict[int, NDArray[np.float64]]:
    """The frames of something that hears every species all the time: what event metrics are worth without listening."""
    return {row: np.broadcast_to(prevalence, frames.shape) for row, frames in heard.frames.items()}


def _coarse(scores: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities rounded to steps of 0.01 in log odds; their order stays, but for new ties."""
    clipped = np.clip(scores.astype(np.float64), 1e-6, 1 - 1e-6)
    log_odds = np.round(100 * np.log(clipped / (1 - clipped))) / 100
    return np.asarray(1 / (1 + np.exp(-log_odds)))
