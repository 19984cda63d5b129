"""Settings of a review: how many questions, of which kinds, and how much of a recording each shows."""

import dataclasses

from rfcx_ssl.settings import settings


@settings
class Strategy:
    """Shares of the kinds of questions; they need not sum to 1."""

    top: float = 0.4  # the highest scores: are the surest detections right?
    threshold: float = 0.3  # scores nearest to the threshold: where the model knows least
    random: float = 0.2  # any stretch, whatever its score: the only way to meet what the model misses
    diverse: float = 0.1  # of the likely ones those that sound least like what was asked before

    def __post_init__(self) -> None:
        """Reject shares without a meaning."""
        if min(self.shares.values()) < 0 or sum(self.shares.values()) <= 0:
            raise ValueError(f"{self.shares} must be 0 or more, one of them above 0")

    @property
    def shares(self) -> dict[str, float]:
        """Share of each kind, in the order in which they choose."""
        return dataclasses.asdict(self)


@settings
class ReviewSettings:
    """Times in seconds. configs/inference/review.yaml says what each key does."""

    budget: int = 100
    strategy: Strategy = Strategy()
    threshold: float | None = None
    stretch_s: float = 2.0
    context_s: float = 1.5
    recordings: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if self.budget < 1 or (self.recordings is not None and self.recordings < 1):
            raise ValueError(f"budget={self.budget} and recordings={self.recordings} must be at least 1")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise ValueError(f"threshold={self.threshold} must be in (0, 1)")
        if not 0.1 <= self.stretch_s <= 60:
            raise ValueError(f"stretch_s={self.stretch_s} must be in [0.1, 60] seconds")
        if not 0 <= self.context_s <= 60:
            raise ValueError(f"context_s={self.context_s} must be in [0, 60] seconds")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")
