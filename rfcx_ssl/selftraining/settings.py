"""Settings of pseudo-labels: who labels, how recordings are heard, and what becomes of the probabilities."""

from typing import Literal

from rfcx_ssl.inference.settings import Precision, WindowSettings
from rfcx_ssl.settings import settings


@settings
class PseudoLabelSettings(WindowSettings):
    """configs/inference/pseudo_label.yaml says what each key does."""

    teacher: Literal["mean", "random"] = "mean"
    seed: int = 0
    tuned: bool = True
    prevalence: str = "none"
    prevalence_recordings: int = 200
    power: float = 1.0
    min_probability: float = 0.0
    sum_cap: float | None = None
    confidence: Literal["none", "peak"] = "none"
    exclude: tuple[str, ...] = ()
    positive: float = 0.5
    max_positive_share: float = 0.5
    precision: Precision = "auto"
    batch_size: int | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        super().__post_init__()
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")
        if not 0 < self.power < float("inf"):
            raise ValueError(f"power={self.power} must be above 0 and finite")
        if not 0 <= self.min_probability < 1:
            raise ValueError(f"min_probability={self.min_probability} must be in [0, 1)")
        if self.sum_cap is not None and not self.sum_cap > 0:
            raise ValueError(f"sum_cap={self.sum_cap} must be above 0; null is no cap")
        for key in ("positive", "max_positive_share"):
            if not 0 < getattr(self, key) <= 1:
                raise ValueError(f"{key}={getattr(self, key)} must be above 0 and at most 1")
