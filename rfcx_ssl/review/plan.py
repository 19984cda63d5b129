"""The plan of a review: each question with its clip and its place in the one long sound; ``review.csv``."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from rfcx_ssl.annotations.table import UNKNOWN_BAND_HZ
from rfcx_ssl.audio import audio_info
from rfcx_ssl.errors import AnnotationError, ConfigError
from rfcx_ssl.files import iter_csv, safe_name, write_csv
from rfcx_ssl.finite import parse_number, parse_whole
from rfcx_ssl.review.choose import Question
from rfcx_ssl.review.hear import Pool
from rfcx_ssl.species import SpeciesTable

PLAN_TABLE = "review.csv"
_WAV_BYTES = 2**32 - 2**10  # what the header of a WAV can state


@dataclass(frozen=True, slots=True)
class Item:
    """A row of ``review.csv``. Times in seconds: ``clip_start_s``, ``start_s``, ``end_s`` count from the start of the recording,
    ``at_s`` from the start of all clips in a row.
    """

    question: int  # from 1
    clip: str  # file name
    at_s: float
    clip_s: float
    recording: str
    file: str
    clip_start_s: float
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    species: str
    score: float
    why: str

    @property
    def box_s(self) -> tuple[float, float]:
        """The box along all clips in a row."""
        shift_s = self.at_s - self.clip_start_s
        return self.start_s + shift_s, self.end_s + shift_s


def make_plan(
    questions: Sequence[Question], pool: Pool, species: SpeciesTable, context_s: float
) -> tuple[list[Item], int]:
    """Items by species, recording and time, and the sample rate of their clips: the highest of their recordings.

    Raises:
        AudioError: a recording is no longer there. ConfigError: the clips are too long for one WAV file.
    """
    chosen = sorted(questions, key=lambda q: (q.species_id, pool.recordings[q.recording].name, q.start_s))
    rates = {
        n: audio_info(pool.recordings[n].path, partial=True).sample_rate_hz for n in {q.recording for q in chosen}
    }
    rate, items, at = max(rates.values(), default=1), [], 0
    for number, q in enumerate(chosen, start=1):
        recording = pool.recordings[q.recording]
        start = round(max(0.0, q.start_s - context_s) * rate)
        length = max(1, round(min(pool.heard_s[q.recording], q.end_s + context_s) * rate) - start)
        low_hz, high_hz = _drawn_band(species.band_hz(q.species_id), rate / 2)
        items.append(Item(
            number, clip_name(number, recording.name, start / rate), at / rate, length / rate, recording.name,
            recording.path, start / rate, q.start_s, q.end_s, low_hz, high_hz,
            species.names[q.species_id], round(q.score, 4), q.why,
        ))  # fmt: skip
        at += length
    if 2 * at > _WAV_BYTES:
        raise ConfigError(
            f"{len(items)} clips, {at / rate:.0f} s at {rate} Hz, do not fit one WAV file: lower --budget"
        )
    return items, rate


def _drawn_band(band_hz: tuple[float, float] | None, nyquist_hz: float) -> tuple[float, float]:
    """A species' band as far as the clips hold it; all that they hold where it is not known, or above them."""
    low_hz, high_hz = band_hz or UNKNOWN_BAND_HZ
    return (low_hz, min(high_hz, nyquist_hz)) if low_hz < nyquist_hz else (0.0, nyquist_hz)


def clip_name(number: int, recording: str, start_s: float) -> str:
    """Names that sort as the questions are numbered."""
    safe = safe_name(re.sub(r"[^\w.-]+", "_", recording))
    return f"{number:04d}_{safe}_{start_s:.1f}s.wav"


def write_plan(items: Sequence[Item], folder: Path) -> None:
    """Write ``folder/review.csv``."""
    names = [field.name for field in fields(Item)]
    write_csv(folder / PLAN_TABLE, names, ([_cell(getattr(item, name)) for name in names] for item in items))


def read_plan(folder: Path) -> list[Item]:
    """The items of ``folder/review.csv``.

    Raises:
        AnnotationError: it is no folder that ``rfcx-ssl review`` wrote, or a row is broken (file and line).
    """
    path = folder / PLAN_TABLE
    if not path.is_file():
        raise AnnotationError(f"{path}: missing; {folder} is no folder that rfcx-ssl review --out wrote")
    kinds = {field.name: field.type for field in fields(Item)}
    items = []
    for line, cells in iter_csv(path, list(kinds)):
        try:
            items.append(Item(**{name: _value(name, kinds[name], cell) for name, cell in cells.items()}))
        except ValueError as error:
            raise AnnotationError(f"{path}:{line}: {error}") from None
    return items


def _value(name: str, kind: object, cell: str) -> Any:  # noqa: ANN401 - any field of an item
    return parse_number(name, cell) if kind is float else parse_whole(name, cell) if kind is int else cell


def _cell(value: Any) -> str:  # noqa: ANN401 - any field of an item
    return f"{value:.6f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
