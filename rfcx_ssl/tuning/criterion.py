"""What makes a decision good: F-beta, a precision that must be reached, or false alarms per hour that are allowed."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from rfcx_ssl.errors import ConfigError
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

    def choose(self, counts: Counts) -> Choice:
        """The best candidate; the first of equals.

        That with the highest F-beta; or, of those whose precision (or rate of false alarms) is good enough, that which
        finds the most, of equals that with the fewest false alarms.
        """
        if self.kind == "f":
            return Choice(int(np.nan_to_num(counts.f(self.value), nan=-1.0).argmax()), counts.there > 0)
        worth = counts.hits - counts.false / (counts.false.max() + 1.0)
        if self.kind == "precision":
            precision = np.nan_to_num(counts.precision, nan=-1.0)
            good = precision >= self.value
            if not good.any():
                return Choice(int(precision.argmax()), False)
        else:
            good = np.nan_to_num(counts.false_per_hour, nan=np.inf) <= self.value
            if not good.any():
                return Choice(int(counts.false.argmin()), False)
        return Choice(int(np.where(good, worth, -np.inf).argmax()), True)


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
