"""Names of species that a table can hold, and that are read back as they were written."""

from collections.abc import Sequence

from rfcx_ssl.annotations.exchange import SCORE_AT_THE_END
from rfcx_ssl.annotations.kinds.kaleidoscope import NOTHING_FOUND as KALEIDOSCOPE_NOTHING
from rfcx_ssl.annotations.kinds.raven import NOTHING_FOUND as RAVEN_NOTHING
from rfcx_ssl.errors import ConfigError

LINE_BREAKS = ("\t", "\n", "\r")  # what a cell of a label track cannot hold
PROGRAMS = {"raven", "audacity", "kaleidoscope", "birdnet"}  # formats of other programs
_NOTHING = {"raven": (RAVEN_NOTHING,), "kaleidoscope": KALEIDOSCOPE_NOTHING}


def check_names(formats: Sequence[str], species_names: Sequence[str]) -> None:
    """Refuse names that one of the ``formats`` cannot hold.

    Raises:
        ConfigError: naming the species and the rule.
    """
    if {"raven", "audacity"} & set(formats):
        check_label_texts(species_names)
    for name in species_names if PROGRAMS & set(formats) else ():
        _check_text(name)
        for kind in formats:
            if name.lower() in _NOTHING.get(kind, ()):
                raise ConfigError(f"species name {name!r}: a {kind} table says so where nothing is found; rename it")


def check_label_texts(species_names: Sequence[str]) -> None:
    """Refuse names that a label track cannot hold, or that read as a shorter name with a score behind it."""
    for name in species_names:
        _check_text(name)
        if SCORE_AT_THE_END.search(name):
            raise ConfigError(f"species name {name!r}: ends like a score, which Audacity labels put behind the name")


def check_columns(columns: Sequence[str], species_names: Sequence[str]) -> None:
    """Refuse a species that is called as another column of a table with a column per species."""
    for name in species_names:
        if name in columns:
            raise ConfigError(f"species name {name!r}: tables of scores have a column of that name; rename it")


def _check_text(name: str) -> None:
    if any(character in name for character in LINE_BREAKS) or not name.strip():
        raise ConfigError(f"species name {name!r}: tables of other programs need a text without tabs and line breaks")
