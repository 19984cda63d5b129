"""What the page shows of a stretch of a recording: plain values for its script, picture and sound as addresses of their own."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from rfcx_ssl.app.session import Heard, Session, Subject
from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.pictures.events import QUIET_ROWS, rows_to_show
from rfcx_ssl.pictures.image import probability_png, spectrogram_jpeg
from rfcx_ssl.pictures.palette import SPECIES
from rfcx_ssl.review.journal import Mark

VIEW_S = 30.0  # shown at once
LOUDEST, MOST_GAIN = 0.9, 100.0  # peak of the sound, and how much a quiet stretch is amplified for it

FloatArray = NDArray[np.float32]
Plain = dict[str, Any]


def clip_start(heard_s: float, start_s: float, at_s: float) -> float:
    """Where a view begins that is wanted at ``at_s``: within what was heard, from ``start_s`` on."""
    return float(min(max(at_s, start_s), start_s + max(0.0, heard_s - VIEW_S)))


def media(session: Session, heard: Heard, at_s: float) -> Plain:
    """Picture and sound of the view that begins at ``at_s``."""
    rate, recording = session.grid.sample_rate_hz, heard.recording
    end_s = recording.start_s + heard.num_samples / rate
    samples = read_audio(
        Path(recording.path),
        start_samples=round(at_s * rate),
        num_samples=round(min(VIEW_S, end_s - at_s) * rate),
        sample_rate_hz=rate,
        partial=True,
    )
    return {
        "start_s": at_s,
        "end_s": at_s + len(samples) / rate,
        "top_hz": rate / 2,
        "picture": _address("image/jpeg", spectrogram_jpeg(samples, rate)),
        "sound": _address("audio/wav", _wav(samples, rate)),
    }


def timeline(
    session: Session,
    heard: Heard,
    events: Sequence[Detection],
    marks: Sequence[Mark],
    at_s: float,
    question: Subject | None = None,
) -> Plain:
    """Events of the whole recording, rows of frame probabilities of the view that begins at ``at_s``, and what was answered."""
    names, first_s = session.species.names, heard.recording.start_s
    heard_s = heard.num_samples / session.grid.sample_rate_hz
    begin = round((at_s - first_s) / session.grid.frame_s)
    probability = heard.probability()[begin : begin + round(VIEW_S / session.grid.frame_s)]
    seen = [one for one in events if one.box.end_s > at_s and one.box.start_s < at_s + VIEW_S]
    rows = rows_to_show(seen) or probability.max(axis=0).argsort()[::-1][:QUIET_ROWS].tolist()
    if question is not None and (asked := names.index(question.species)) not in rows:
        rows = [asked, *rows]
    return {
        "recording": heard.recording.name,
        "start_s": first_s,
        "end_s": first_s + heard_s,
        "notes": list(heard.notes),
        "events": [_event(session, one, marks) for one in events],
        "rows": [
            {"species": names[column], "color": color_of(column), "picture": _strip(probability[:, column])}
            for column in rows
        ],
        "marks": [_mark(session, mark) for mark in marks if not any(_is_about(mark, one) for one in events)],
        "question": None if question is None else _question(session, question),
    }


def color_of(column: int) -> str:
    """Of a species: the same wherever it is shown."""
    return SPECIES[column % len(SPECIES)]


def _is_about(mark: Mark, one: Detection) -> bool:
    """Whether what was answered is about this event, and so is shown with it."""
    return mark.same_sound(mark.file, one.species, one.box.start_s, one.box.end_s)


def _mark(session: Session, mark: Mark) -> Plain:
    """An answer about a stretch that somebody marked, or about an event that the thresholds no longer let through."""
    column, (low_hz, high_hz) = _band(session, mark.species)
    return {
        "species": mark.species, "start_s": mark.start_s, "end_s": mark.end_s, "low_hz": low_hz, "high_hz": high_hz,
        "score": None, "color": color_of(column), "state": mark.state,
    }  # fmt: skip


def _event(session: Session, one: Detection, marks: Sequence[Mark]) -> Plain:
    low_hz, high_hz = one.box.low_hz, min(one.box.high_hz, session.grid.sample_rate_hz / 2)
    state = next((mark.state for mark in reversed(marks) if _is_about(mark, one)), "")
    return {
        "species": one.species, "start_s": one.box.start_s, "end_s": one.box.end_s, "low_hz": low_hz, "high_hz": high_hz,
        "score": round(one.score, 3), "color": color_of(one.box.species_id), "state": state,
    }  # fmt: skip


def _question(session: Session, question: Subject) -> Plain:
    column, (low_hz, high_hz) = _band(session, question.species)
    return {**question._asdict(), "low_hz": low_hz, "high_hz": high_hz, "color": color_of(column)}


def _band(session: Session, species: str) -> tuple[int, tuple[float, float]]:
    """The place of a species, and what of its band can be shown."""
    column, top_hz = session.species.names.index(species), session.grid.sample_rate_hz / 2
    low_hz, high_hz = session.species.band_hz(column) or (0.0, top_hz)
    return column, (low_hz, min(high_hz, top_hz))


def _strip(probability: FloatArray) -> str:
    return _address("image/png", probability_png(probability))


def _wav(samples: FloatArray, rate_hz: int) -> bytes:
    """All browsers play it and seek in it exactly; a quiet stretch is amplified."""
    peak = float(np.abs(samples).max(initial=0.0))
    gain = min(LOUDEST / peak, MOST_GAIN) if peak > 0 else 1.0
    buffer = io.BytesIO()
    soundfile.write(buffer, samples * gain, rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
