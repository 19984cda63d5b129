"""A project's species from its labels, where nobody wrote a table of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from statistics import median

from rfcx_ssl.annotations.exchange import Selection
from rfcx_ssl.annotations.label_map import is_unsure
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species.table import Call, SpeciesTable, name_key


def infer_species(rows: Iterable[Selection], names: Mapping[str, tuple[str, str]]) -> SpeciesTable:
    """Species of all labels, sorted by name; the band of a call is the median of its boxes' lower and upper edges.

    Labels without text or with a question mark at the end make no species. Of several spellings that differ by case
    or spaces, the most frequent one is the name.

    Args:
        rows: rows of label tables.
        names: species and song type that labels stand for, by :func:`name_key`; an empty species is skipped, and a label that is
            not listed is a species itself.

    Raises:
        AnnotationError: no row names a species.
    """
    spellings: dict[str, Counter[str]] = {}
    bands: dict[str, dict[int, list[tuple[float, float]]]] = {}
    for row in rows:
        name, song = names.get(name_key(row.label), (row.label, ""))
        name, song = " ".join(name.split()), row.songtype or song or "1"
        known = name_key(row.label) in names
        if not name or (not known and is_unsure(name)) or not song.isdecimal():
            continue
        spellings.setdefault(name_key(name), Counter())[name] += 1
        bands.setdefault(name_key(name), {}).setdefault(int(song), []).extend(_band(row))
    if not spellings:
        raise AnnotationError("no label table names a species: write species.csv (a column name), or label something")
    chosen = {key: min(found, key=lambda name: (-found[name], name)) for key, found in spellings.items()}
    calls = [
        Call(species, song, chosen[key], None, None, *_middle(bands[key][song]))
        for species, key in enumerate(sorted(chosen))
        for song in sorted(bands[key])
    ]
    return SpeciesTable(tuple(calls))


def _band(row: Selection) -> list[tuple[float, float]]:
    """The box's band, if it has one; what is wrong with it is for :mod:`rfcx_ssl.annotations.convert` to say."""
    try:
        low_hz, high_hz = float(row.low), float(row.high)
    except ValueError:
        return []
    return [(low_hz, high_hz)] if 0 <= low_hz < high_hz < float("inf") else []


def _middle(bands: list[tuple[float, float]]) -> tuple[float | None, float | None]:
    if not bands:
        return None, None
    lows, highs = zip(*bands, strict=True)
    low_hz, high_hz = round(median(lows), 1), round(median(highs), 1)
    return (low_hz, high_hz) if low_hz < high_hz else (None, None)
