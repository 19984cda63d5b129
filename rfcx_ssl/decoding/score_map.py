"""Monotone maps of probabilities, one per species: calibration (temperature, Platt, isotonic) and prior shift.

For each species: a piecewise linear function of the probability, where there is one (isotonic calibration), then
``slope * logit + offset`` (temperature: slope 1 / T; Platt: both; prior shift: the offset). Maps of this form stay in it when
a shift follows, so that calibration, prior and occurrence are one map, applied once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rfcx_ssl.metrics.prior import log_odds, to_probability

FloatArray: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Knots:
    """A piecewise linear function from ``scores`` (K,) to ``probabilities`` (K,), constant beyond its ends.

    Raises:
        ValueError: scores do not increase, probabilities decrease, or one of them lies outside [0, 1].
    """

    scores: FloatArray
    probabilities: FloatArray

    def __post_init__(self) -> None:
        for name in ("scores", "probabilities"):
            values = np.asarray(getattr(self, name), dtype=np.float64)
            if values.ndim != 1 or not len(values) or not ((values >= 0) & (values <= 1)).all():
                raise ValueError(f"{name} must be a list of numbers in [0, 1]")
            object.__setattr__(self, name, values)
        if len(self.scores) != len(self.probabilities):
            raise ValueError(f"{len(self.scores)} scores and {len(self.probabilities)} probabilities")
        if not (np.diff(self.scores) > 0).all():
            raise ValueError("scores must increase")
        if not (np.diff(self.probabilities) >= 0).all():
            raise ValueError("probabilities must not decrease")

    def __call__(self, scores: NDArray[Any]) -> FloatArray:
        """Scores of any shape to probabilities."""
        return np.asarray(np.interp(scores, self.scores, self.probabilities))


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """See the module's docstring; S species.

    Raises:
        ValueError: a slope that is not above 0, an offset that is NaN, or lengths that differ.
    """

    slope: FloatArray  # (S,) above 0
    offset: FloatArray  # (S,) log odds; -inf makes every probability 0
    knots: Mapping[int, Knots] = field(default_factory=dict)  # by species

    def __post_init__(self) -> None:
        for name in ("slope", "offset"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        if self.slope.ndim != 1 or self.slope.shape != self.offset.shape:
            raise ValueError(
                f"slope and offset must have one value per species, got {self.slope.shape} and {self.offset.shape}"
            )
        if not ((self.slope > 0) & np.isfinite(self.slope)).all():
            raise ValueError("slope must be finite and above 0")
        if np.isnan(self.offset).any():
            raise ValueError("offset must not be NaN")
        if foreign := [species for species in self.knots if not 0 <= species < len(self.slope)]:
            raise ValueError(f"knots of species {foreign[0]}, of {len(self.slope)}")

    @classmethod
    def identity(cls, num_species: int) -> "ScoreMap":
        """The map that changes nothing, not even the last bit."""
        return cls(np.ones(num_species), np.zeros(num_species))

    @property
    def is_identity(self) -> bool:
        """Whether nothing is changed."""
        return not len(self._shifted) and not self.knots

    def __call__(self, scores: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (..., S) to probabilities (..., S). The order within a species never turns round.

        A score of exactly 0 stays 0: it says that there was nothing to hear, or that a gate was shut.
        """
        if scores.shape[-1:] != self.slope.shape:
            raise ValueError(
                f"scores of {len(self.slope)} species must have shape (..., {len(self.slope)}), got {scores.shape}"
            )
        if self.is_identity:
            return scores.astype(np.float32, copy=False)
        mapped = scores.astype(np.float32)  # a copy
        for species, knots in self.knots.items():
            mapped[..., species] = knots(mapped[..., species])
        moved = self._shifted
        if len(moved):
            logits = log_odds(mapped[..., moved].astype(np.float64))
            mapped[..., moved] = to_probability(self.slope[moved] * logits + self.offset[moved])
        mapped[scores == 0] = 0
        return mapped

    def part(self, species: Sequence[int]) -> "ScoreMap":
        """The map of some of the species, in that order."""
        knots = {place: self.knots[one] for place, one in enumerate(species) if one in self.knots}
        return ScoreMap(self.slope[list(species)], self.offset[list(species)], knots)

    def shifted(self, log_odds_shift: ArrayLike) -> "ScoreMap":
        """This map, and then the odds of each species multiplied: ``log_odds_shift`` (S,); -inf is never, whatever else."""
        shift = np.asarray(log_odds_shift, dtype=np.float64)
        never = (shift == -np.inf) | (self.offset == -np.inf)
        return replace(
            self, offset=np.where(never, -np.inf, np.where(never, 0, self.offset) + np.where(never, 0, shift))
        )

    @property
    def _shifted(self) -> NDArray[np.intp]:
        """Species whose logits are changed."""
        return np.flatnonzero((self.slope != 1) | (self.offset != 0))
