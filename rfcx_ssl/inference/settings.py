"""Settings of windows, which validation, detection and comparison share."""

from typing import Literal

from rfcx_ssl.settings import settings

Aggregate = Literal["max", "mean"]
Backend = Literal["torch", "onnx"]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
DEFAULT_OVERLAP = 0.5  # this and the next: of a model that was never validated
DEFAULT_AGGREGATE: Aggregate = "max"


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
