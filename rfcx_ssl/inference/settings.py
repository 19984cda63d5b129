"""Settings of windows, which validation, detection and comparison share, and of ensembles."""

from typing import Literal

from rfcx_ssl.settings import settings

Aggregate = Literal["max", "mean"]
Combine = Literal["mean", "geometric"]
SLOWEST, FASTEST = 0.5, 2.0  # an octave: beyond it nothing sounds as it was learned
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


@settings
class EnsembleSettings:
    """How several models, or one model at several speeds, make one score; a weight belongs to a model.

    None for ``weights`` weighs all models alike.
    """

    speeds: tuple[float, ...] = (1.0,)  # 1.1 hears a recording 10 % faster and higher, 0.9 slower and lower
    combine: Combine = "mean"  # of probabilities; geometric: of odds, which a model that is sure of an absence decides
    weights: tuple[float, ...] | None = None  # one per model, in their order

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if 1 not in self.speeds or len(set(self.speeds)) < len(self.speeds):
            raise ValueError(f"speeds={list(self.speeds)} must name 1 and no speed twice")
        if not all(SLOWEST <= speed <= FASTEST for speed in self.speeds):
            raise ValueError(f"speeds={list(self.speeds)} must be in [{SLOWEST}, {FASTEST}]")
        if self.combine not in ("mean", "geometric"):
            raise ValueError(f"combine={self.combine!r} must be 'mean' or 'geometric'")
        if self.weights is not None and not all(0 < weight < float("inf") for weight in self.weights):
            raise ValueError(f"weights={list(self.weights)} must be above 0 and finite")
