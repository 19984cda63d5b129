"""How settings are declared, and read back from plain values, with the standard library only.

A schema lives beside the component it configures. :mod:`rfcx_ssl.config` composes YAML and checks it against the schema
with pydantic; a saved model carries its settings as JSON and reads them with :func:`from_plain`, on machines that have
neither pydantic nor Hydra nor rfcx-ssl.
"""

import dataclasses
import functools
import importlib
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, dataclass_transform

from rfcx_ssl.errors import ConfigError, did_you_mean
from rfcx_ssl.finite import require_finite

T = TypeVar("T")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def settings(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen, keyword-only dataclass whose unknown keys, and numbers that are not finite, are errors."""
    cls.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}  # type: ignore[attr-defined]
    rules = cls.__dict__.get("__post_init__")
    if rules is not None or not hasattr(cls, "__post_init__"):  # else those of the base class hold
        cls.__post_init__ = _finite_first(rules or (lambda self: None))  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def _finite_first(rules: Callable[[Any], None]) -> Callable[[Any], None]:
    """Rules of a class behind the one for all numbers: nothing is computed from NaN or infinity."""

    @functools.wraps(rules)
    def check(self: Any) -> None:  # noqa: ANN401 - any settings class
        for field in dataclasses.fields(self):
            require_finite(field.name, getattr(self, field.name))
        rules(self)

    return check


class _ByKind:
    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:  # noqa: ANN401 - pydantic's own types
        """Only pydantic calls this, so it can be imported then."""
        return importlib.import_module("pydantic").Discriminator("kind").__get_pydantic_core_schema__(source, handler)


BY_KIND = _ByKind()  # Annotated[A | B, BY_KIND]: a choice among settings classes that their ``kind`` tells apart


def from_plain(cls: type[T], values: Mapping[str, Any], source: str) -> T:
    """Build the settings class ``cls`` from JSON values; :class:`ConfigError` names an unknown or broken key."""
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(f"{source}.{unknown[0]}: unknown key; known: {', '.join(sorted(hints))}")
    read = {key: _read(hints[key], value, f"{source}.{key}") for key, value in values.items()}
    try:
        return cls(**read)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: {error}") from None


def of_kind(classes: Iterable[type[T]], values: Mapping[str, Any], source: str) -> type[T]:
    """The one settings class whose ``kind`` the values name; :class:`ConfigError` where there is none."""
    kinds = {cls.kind: cls for cls in classes}  # type: ignore[attr-defined]
    kind = values.get("kind")
    if kind not in kinds:
        known = ", ".join(map(repr, kinds))
        raise ConfigError(f"{source}.kind={kind!r}: must be one of {known}{did_you_mean(str(kind), kinds)}")
    return kinds[kind]


def _read(hint: Any, value: Any, source: str) -> Any:  # noqa: ANN401 - any JSON value
    """Nested settings, optional ones, choices by kind and tuples are rebuilt; everything else must have its type."""
    parts = (hint, *typing.get_args(hint))
    classes = [part for part in parts if dataclasses.is_dataclass(part) and isinstance(part, type)]
    if classes and not (value is None and type(None) in parts):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{source}={value!r}: must be a mapping")
        return from_plain(classes[0] if len(classes) == 1 else of_kind(classes, value, source), value, source)
    if isinstance(value, list):
        value = tuple(value)
    if typing.get_origin(hint) is typing.Literal and not _is(hint, value):
        raise ConfigError(f"{source}={value!r}: must be one of {', '.join(map(repr, typing.get_args(hint)))}")
    if not _is(hint, value):
        raise ConfigError(f"{source}={value!r:.80}: must be {getattr(hint, '__name__', hint)}")
    return value


def _is(hint: Any, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a plain value is of a type of plain values; a whole number is a float, too, and yes or no is no number."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return any(type(value) is type(known) and value == known for known in parts)
    if origin is typing.Annotated:
        return _is(parts[0], value)
    if origin is tuple:
        return isinstance(value, tuple) and (
            all(_is(parts[0], item) for item in value)
            if parts[-1] is Ellipsis
            else len(value) == len(parts) and all(map(_is, parts, value))
        )
    if origin in (typing.Union, types.UnionType):
        return any(_is(part, value) for part in parts)
    if hint is float:
        return type(value) in (int, float)
    return type(value) is hint if hint in (int, str, bool, type(None)) else True
