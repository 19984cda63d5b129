"""Settings of ``rfcx-ssl detect``: windows, and how frame probabilities become events."""

from typing import Any, Literal

from rfcx_ssl.settings import settings

FORMATS = ("csv", "raven", "audacity", "parquet")  # of event tables


@settings
class DetectSettings:
    """Times in seconds, probabilities in [0, 1]. configs/inference/detect.yaml says what each key does."""

    threshold: float = 0.5
    low_threshold: float | None = None
    median_s: float = 0.1
    min_duration_s: float = 0.1
    merge_gap_s: float = 0.2
    window_s: float | None = None
    overlap: float = 0.5
    aggregate: Literal["max", "mean"] = "max"
    batch_size: int = 8
    block_s: float = 30.0
    picture_s: float = 60.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold} must be in (0, 1]")
        if not 0 < self.low <= self.threshold:
            raise ValueError(f"low_threshold={self.low_threshold} must be in (0, threshold={self.threshold}]")
        for key in ("median_s", "min_duration_s", "merge_gap_s"):
            if not 0 <= getattr(self, key) <= 60:
                raise ValueError(f"{key}={getattr(self, key)} must be in [0, 60] seconds")
        if not 0 <= self.overlap < 1:
            raise ValueError(f"overlap={self.overlap} must be in [0, 1)")
        if self.batch_size < 1 or self.block_s < 1 or self.picture_s < 1:
            raise ValueError("batch_size, block_s and picture_s must be at least 1")
        if self.window_s is not None and self.window_s <= 0:
            raise ValueError(f"window_s={self.window_s} must be above 0")

    @property
    def low(self) -> float:
        """The lower threshold in force."""
        return self.threshold / 2 if self.low_threshold is None else self.low_threshold

    def window_options(self, sample_rate_hz: int, window_samples: int) -> dict[str, Any]:
        """Keyword arguments of ``predict_stream`` and ``predict_recording``; ``window_samples`` is the model's own."""
        window = window_samples if self.window_s is None else round(self.window_s * sample_rate_hz)
        return {
            "window_samples": window,
            "hop_samples": max(1, round(window * (1 - self.overlap))),
            "aggregate": self.aggregate,
            "batch_size": self.batch_size,
        }
