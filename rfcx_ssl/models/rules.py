"""What may stand in the settings of a network that somebody else saved: types, choices and sizes, before it is built.

A mapping of key to rule is a schema; :func:`check_values` holds plain values against it. Keys that have no rule are
the caller's concern. Needs the standard library only.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from rfcx_ssl.errors import CheckpointError

_SHOWN = 60  # characters of a value in a message


class Rule(Protocol):
    """What values of a key are."""

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number in a range."""

    low: int
    high: int

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        fits = type(value) is int and self.low <= value <= self.high
        return None if fits else f"must be a whole number from {self.low} to {self.high}"


@dataclass(frozen=True)
class Real:
    """A finite number in a range."""

    low: float
    high: float

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        number = isinstance(value, int | float) and not isinstance(value, bool)
        fits = number and math.isfinite(value) and self.low <= value <= self.high  # type: ignore[arg-type,operator]
        return None if fits else f"must be a number from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """One of some values, of their type."""

    values: tuple[Any, ...]

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        fits = any(type(value) is type(known) and value == known for known in self.values)
        return None if fits else f"must be {' or '.join(map(str, self.values))}"


FLAG = OneOf((True, False))


@dataclass(frozen=True)
class Text:
    """A text that is not empty."""

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        return None if isinstance(value, str) and value else "must be a text"


@dataclass(frozen=True)
class Object:
    """A mapping of names to values."""

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        fits = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
        return None if fits else "must be an object"


@dataclass(frozen=True)
class Many:
    """A list of ``least`` to ``most`` values that keep one rule."""

    rule: Rule
    most: int = 64
    least: int = 1

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        if not isinstance(value, list | tuple) or not self.least <= len(value) <= self.most:
            return f"must be a list of {self.least} to {self.most} values"
        broken = next((rule for item in value if (rule := self.rule.broken_by(item))), None)
        return None if broken is None else f"each value {broken}"


@dataclass(frozen=True)
class Maybe:
    """None, or what keeps the rule."""

    rule: Rule

    def broken_by(self, value: object) -> str | None:
        """What the value must be; None where it is that."""
        return None if value is None else self.rule.broken_by(value)


def check_values(values: Mapping[str, Any], rules: Mapping[str, Rule], source: str, above: str = "") -> None:
    """Raise :class:`CheckpointError` for the first of ``rules`` that ``values`` break: source, key, value and rule.

    A key that is not there breaks none. ``above`` comes before keys in the message (``model.``).
    """
    for key, rule in rules.items():
        if key in values and (must := rule.broken_by(values[key])):
            text = repr(values[key])
            shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
            raise CheckpointError(f"{source}: {above}{key}={shown}: {must}")
