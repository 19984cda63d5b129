"""What makes a decision good: F-beta, a precision that must be reached, or false alarms per hour that are allowed."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.metrics.arrays import FloatArray
from rfcx_ssl.tuning.tally import Counts

Kind: TypeAlias = Literal["f", "precision", "false-alarms"]
RULE = "must be f1, f0.5, f2 or another F-beta, precision=X with X in (0, 1], or false-alarms=N with N an hour above 0"


class Choice(NamedTuple):
    """One of the candidates."""

    candidate: int
    reached: bool  # whether it does what was asked for; where none does, it is the nearest


@dataclass(frozen=True)
class Criterion:
    """Read from words by :func:`read_criterion`."""

    kind: Kind
    value: float  # beta, the least precision, or the most false alarms an hour

    def __str__(self) -> str:
        return f"f{self.value:g}" if self.kind == "f" else f"{self.kind}={self.value:g}"

    @property
    def beta(self) -> float:
        """Of the F-beta by which smoothing is chosen; a rate or a precision says nothing about it."""
        return self.value if self.kind == "f" else 1.0

    def choose(self, counts: Sequence[Counts]) -> Choice:
        """The best candidate for one species, or for several on average, each counting the same.

        That with the highest F-beta; or, of those whose precision (or rate of false alarms) is good enough, that with the
        highest recall, of equals the one with the highest precision. Where neighbors are as good, their middle: it is the
        farthest from both edges.
        """
        if self.kind == "f":
            f = _mean([own.f(self.value) for own in counts])
            return Choice(_middle_of_best(np.nan_to_num(f, nan=-1.0)), bool(np.isfinite(f).any()))
        precision, recall = _mean([own.precision for own in counts]), _mean([own.recall for own in counts])
        if self.kind == "precision":
            amount, good = -np.nan_to_num(precision), np.nan_to_num(precision) >= self.value
        else:
            amount = np.nan_to_num(_mean([own.false_per_hour for own in counts]), nan=np.inf)
            good = amount <= self.value
        if not good.any():
            return Choice(int(amount.argmin()), False)
        worth = np.where(good, np.nan_to_num(recall), -1.0)
        cleanest = np.nan_to_num(precision, nan=1.0)  # where nothing is found, nothing is wrong
        return Choice(_middle_of_best(np.where(worth == worth.max(), cleanest, -1.0)), True)


def _middle_of_best(values: FloatArray) -> int:
    """The middle of the first stretch of highest values."""
    best = np.flatnonzero(values == values.max())
    first = best[: np.append(np.diff(best) > 1, True).argmax() + 1]
    return int(first[(len(first) - 1) // 2])


def _mean(values: Sequence[FloatArray]) -> FloatArray:
    """(C,) over species, those without a value (NaN) left out; NaN where none has any."""
    table = np.stack(values)
    known = ~np.isnan(table)
    total, count = np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def read_criterion(text: str) -> Criterion:
    """``f1``, ``f0.5``, ``precision=0.9`` or ``false-alarms=2``.

    Raises:
        ConfigError: it is none of these.
    """
    found = re.fullmatch(r"(f|precision=|false-alarms=)(\d+(?:\.\d*)?|\.\d+)", text.lower())
    if found:
        value, kinds = float(found[2]), {"f": "f", "precision=": "precision", "false-alarms=": "false-alarms"}
        kind = kinds[found[1]]
        if value > 0 and not (kind == "precision" and value > 1):
            return Criterion(kind, value)  # type: ignore[arg-type]  # one of the three
    raise ConfigError(f"--criterion {text}: {RULE}")
