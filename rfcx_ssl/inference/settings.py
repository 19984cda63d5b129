"""Settings of listening: windows, which validation, detection and comparison share, and how probabilities become events."""

from typing import Literal

from rfcx_ssl.settings import settings

Aggregate = Literal["max", "mean"]
DEFAULT_OVERLAP = 0.5  # this and the next: of a model that was never validated
DEFAULT_AGGREGATE: Aggregate = "max"
FORMATS = ("csv", "raven", "audacity", "parquet")  # of event tables


@settings
class WindowSettings:
    """How a recording is cut into windows and put together again.

    None leaves it to the model, which hears as it was validated; :func:`rfcx_ssl.inference.windows.windows_in_force`
    is the rule.
    """

    window_s: float | None = None  # what the model hears at once
    overlap: float | None = None  # share of a window that the next one covers again
    aggregate: Aggregate | None = None  # how windows share a frame, and how they make the score of the recording

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if self.window_s is not None and not self.window_s > 0:
            raise ValueError(f"window_s={self.window_s} must be above 0")
        if self.overlap is not None and not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be in [0, 1)")
        if self.aggregate not in (None, "max", "mean"):
            raise ValueError(f"aggregate={self.aggregate!r} must be 'max' or 'mean'")


@settings
class DetectSettings(WindowSettings):
    """Times in seconds, probabilities in [0, 1]. configs/inference/detect.yaml says what each key does."""

    threshold: float = 0.5
    low_threshold: float | None = None
    median_s: float = 0.1
    min_duration_s: float = 0.1
    merge_gap_s: float = 0.2
    batch_size: int = 8
    block_s: float = 30.0
    picture_s: float = 60.0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        super().__post_init__()
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold} must be in (0, 1]")
        if not 0 < self.low <= self.threshold:
            raise ValueError(f"low_threshold={self.low_threshold} must be in (0, threshold={self.threshold}]")
        for key in ("median_s", "min_duration_s", "merge_gap_s"):
            if not 0 <= getattr(self, key) <= 60:
                raise ValueError(f"{key}={getattr(self, key)} must be in [0, 60] seconds")
        if self.batch_size < 1 or self.block_s < 1 or self.picture_s < 1:
            raise ValueError("batch_size, block_s and picture_s must be at least 1")

    @property
    def low(self) -> float:
        """The lower threshold in force."""
        return self.threshold / 2 if self.low_threshold is None else self.low_threshold
