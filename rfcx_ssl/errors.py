"""Errors a user can fix: one line that names the file, line or key, the value and the rule; exit code 2."""

import difflib
import importlib
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any


class RfcxError(Exception):
    """Base of every error that is the user's to fix; programs print it on one line and exit with 2."""

    exit_code = 2

    def __init__(self, message: str, answer: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.answer = answer or {}  # what was made all the same, for ``--json``


class ConfigError(RfcxError):
    """A setting is unknown, has the wrong type or breaks a rule."""


class AudioError(RfcxError):
    """An audio file cannot be read, or has the wrong sample rate or length."""


class ManifestError(RfcxError):
    """A manifest folder or one of its lines is wrong."""


class AnnotationError(RfcxError):
    """A label table or one of its rows is wrong."""


class CheckpointError(RfcxError):
    """A checkpoint, encoder directory or model directory cannot be used."""


class RunError(RfcxError):
    """A run folder is missing, in use, full, or does not match the settings."""


class MissingExtraError(RfcxError):
    """An optional package is not installed."""


def require_extra(module: str, extra: str = "") -> ModuleType:
    """Import an optional ``module``, or raise an error that says which extra (or the package itself) to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = f"'rfcx-ssl[{extra}]'" if extra else module.split(".")[0]
        raise MissingExtraError(f"{module} is not importable ({error}); pip install {package}") from None


def first_line(error: BaseException) -> str:
    """What a foreign error says, on one line: its first line, or the name of its class where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def some_of(names: Sequence[str], most: int) -> str:
    """The first ``most`` names and how many more there are: ``a, b and 3 more``."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What a message about an unknown word ends in: the nearest known one, or nothing where none is near."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean {near[0]!r}?" if near else ""
