"""Settings of decoding: how the probabilities of frames become events."""

from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.settings import settings

DecoderKind: TypeAlias = Literal["hysteresis", "change_point"]
RecordingScoreKind: TypeAlias = Literal["clip", "max", "top"]
DEFAULT_DECODER: DecoderKind = "hysteresis"


class Parameter(NamedTuple):
    """What a parameter of decoding is where nobody chose it, and what it may be: one rule for settings and decisions."""

    default: float
    low: float
    high: float
    unit: str = ""
    above_low: bool = False  # ``low`` itself is refused

    @property
    def rule(self) -> str:
        """The allowed values, as messages say them."""
        return f"in {'(' if self.above_low else '['}{self.low:g}, {self.high:g}]{self.unit and ' '}{self.unit}"

    def allows(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Which of the values are allowed; NaN never is."""
        found = np.asarray(values, dtype=np.float64)
        return (found > self.low if self.above_low else found >= self.low) & (found <= self.high)


_PROBABILITY = Parameter(0.5, 0, 1, above_low=True)
PARAMETERS: Mapping[str, Parameter] = {
    "threshold": _PROBABILITY,
    "low_threshold": _PROBABILITY,  # nobody chose it: half the threshold
    "median_s": Parameter(0.1, 0, 60, "seconds"),
    "min_duration_s": Parameter(0.1, 0, 60, "seconds"),
    "merge_gap_s": Parameter(0.2, 0, 60, "seconds"),
    "step_filter_s": Parameter(0.5, 0, 60, "seconds", above_low=True),
    "merge_absolute": Parameter(0.2, 0, 1),
    "merge_relative": Parameter(2.0, 1, 1000),
}
USED_BY: Mapping[DecoderKind, tuple[str, ...]] = {
    "hysteresis": ("threshold", "low_threshold", "median_s", "min_duration_s", "merge_gap_s"),
    "change_point": (
        "threshold",
        "min_duration_s",
        "step_filter_s",
        "merge_absolute",
        "merge_relative",
    ),
}


@settings
class DecodeSettings:
    """Times in seconds, probabilities in [0, 1]; one value for all species. configs/inference/detect.yaml says what each key does.

    None leaves it to the model, which may have decisions of its own for each species, and failing that to the default in
    ``PARAMETERS``; :func:`rfcx_ssl.decoding.decisions.decisions_in_force` is the rule.
    """

    tuned: bool = True  # False: the model's own decisions are not looked at
    decoder: DecoderKind | None = None
    threshold: float | None = None
    low_threshold: float | None = None
    median_s: float | None = None
    min_duration_s: float | None = None
    merge_gap_s: float | None = None
    step_filter_s: float | None = None
    merge_absolute: float | None = None
    merge_relative: float | None = None
    recording_score: RecordingScoreKind = "clip"
    top_s: float = 1.0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        for key, parameter in PARAMETERS.items():
            value = getattr(self, key)
            if value is not None and not parameter.allows(value):
                raise ValueError(f"{key}={value} must be {parameter.rule}")
        if self.decoder not in (None, *USED_BY):
            raise ValueError(f"decoder={self.decoder!r} must be one of {', '.join(map(repr, USED_BY))}")
        if self.recording_score not in get_args(RecordingScoreKind):
            raise ValueError(f"recording_score={self.recording_score!r} must be one of 'clip', 'max', 'top'")
        if not 0 < self.top_s <= 3600:
            raise ValueError(f"top_s={self.top_s} must be in (0, 3600] seconds")
        if self.threshold is not None and self.low_threshold is not None and self.low_threshold > self.threshold:
            raise ValueError(f"low_threshold={self.low_threshold} must be in (0, threshold={self.threshold}]")
