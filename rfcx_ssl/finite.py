"""The one rule for numbers from outside, in tables, settings and saved files: finite, and no larger than 2^53.

Up to there whole numbers are exact in every format that is read, and times, rates and counts fit whatever they are
multiplied with.
"""

import math
from collections.abc import Mapping

LARGEST = 2**53
_SHOWN = 40  # characters of a value in a message


def parse_number(name: str, text: str, kind: str = "a number") -> float:
    """The number that a cell holds; ``ValueError`` names ``name``, the text and the rule."""
    try:
        value = float(text.replace("_", "?"))  # Python takes 1_0 for 10, tables do not
    except ValueError:
        raise ValueError(f"{name}={_shown(text)} is not {kind}") from None
    require_finite(name, value, _shown(text))
    return value


def parse_whole(name: str, text: str) -> int:
    """The whole number that a cell holds, also written ``3.0``; ``ValueError`` as in :func:`parse_number`."""
    value = parse_number(name, text, "a whole number")
    if value != int(value):
        raise ValueError(f"{name}={_shown(text)} is not a whole number")
    return int(value)


def require_finite(name: str, value: object, shown: str | None = None) -> None:
    """``ValueError`` where a number, or one anywhere inside lists and mappings, breaks the rule."""
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name}={shown or value} is not a finite number")
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise ValueError(f"{name}={shown or _shown(value)} is too large a number: at most 2^53")
    if isinstance(value, Mapping):
        for key, part in value.items():
            require_finite(f"{name}.{key}", part)
    elif isinstance(value, list | tuple):
        for part in value:
            require_finite(name, part)


def _shown(value: object) -> str:
    if isinstance(value, int):  # Python refuses to write thousands of digits
        return f"{value:.3e}" if abs(value) < 10**300 else "(hundreds of digits)"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
