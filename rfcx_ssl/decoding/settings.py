"""Settings of decoding: how the probabilities of frames become events."""

from rfcx_ssl.settings import settings


@settings
class DecodeSettings:
    """Times in seconds, probabilities in [0, 1]. configs/inference/detect.yaml says what each key does."""

    threshold: float = 0.5
    low_threshold: float | None = None
    median_s: float = 0.1
    min_duration_s: float = 0.1
    merge_gap_s: float = 0.2

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if not 0 < self.threshold <= 1:
            raise ValueError(f"threshold={self.threshold} must be in (0, 1]")
        if not 0 < self.low <= self.threshold:
            raise ValueError(f"low_threshold={self.low_threshold} must be in (0, threshold={self.threshold}]")
        for key in ("median_s", "min_duration_s", "merge_gap_s"):
            if not 0 <= getattr(self, key) <= 60:
                raise ValueError(f"{key}={getattr(self, key)} must be in [0, 60] seconds")

    @property
    def low(self) -> float:
        """The lower threshold in force."""
        return self.threshold / 2 if self.low_threshold is None else self.low_threshold
