"""All that came of one recording: what the journal keeps, and every table is made of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.recordings import Recording


@dataclass(frozen=True, slots=True)
class Result:
    """One row of a part of the journal, and all that the tables of a recording are made of."""

    index: int  # place in the listing of the output folder
    recording: str  # its name, unique in the folder
    path: str  # where it was read: a local path, or a URL
    start_s: float  # the part of the file that was listened to; times of events count from the start of the file
    heard_s: float  # seconds heard from ``start_s`` on
    sample_rate_hz: int  # of the file; 0 where it could not be opened
    recorded_at: str | None  # ISO 8601 date and time at which the file starts, where its name or header says so
    problem: str | None  # why not all of it was heard
    warnings: tuple[str, ...]
    clip: NDArray[np.float32] | None  # (S,) score of every species over the recording; None where nothing was heard
    events: list[Detection]
    unreachable: bool = False  # the file was not there, or its disk did not answer: another time it may
    #: by name, of what was asked for: ``frames`` (T, S) float16, ``highest`` (at most T, S), ``windows_s`` (W,) starts and ``window_scores`` (W, S), ``embeddings`` (W, D)
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    silent_s: float = 0.0  # of ``heard_s`` without any signal


def unheard(index: int, recording: Recording, problem: str) -> Result:
    """The result of a recording that could not be heard at all."""
    return Result(
        index=index,
        recording=recording.name,
        path=recording.path,
        start_s=recording.start_s,
        heard_s=0.0,
        sample_rate_hz=0,
        recorded_at=None,
        problem=problem,
        warnings=(),
        clip=None,
        events=[],
    )
