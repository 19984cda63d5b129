"""Recordings to look at and to listen to: spectrogram, what was said, what was found, frame by frame, with a player."""

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.audio import read_audio
from rfcx_ssl.decoding.decisions import decide
from rfcx_ssl.decoding.decode import make_decoder
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard, species_columns
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.predict import predict_recording
from rfcx_ssl.pictures.image import probability_png, spectrogram_jpeg
from rfcx_ssl.report.markup import details, heading, paragraph, table
from rfcx_ssl.report.runs.media import Room, data_uri, player
from rfcx_ssl.report.runs.mistakes import Mistake, best_and_worst, find_mistakes

CLIP_S = 10.0  # of a recording that is shown and played
MOST_ROWS = 8  # species
OTHERS = 3  # species that nobody marked, but that score highest
STATES = {"present": "marked as present", "absent": "marked as absent", "detected": "detected by the model"}


class Box(NamedTuple):
    """A rectangle on the spectrogram; ``state`` is a key of STATES."""

    species: int
    start_s: float
    end_s: float
    low_hz: float
    high_hz: float
    state: str


@dataclass(frozen=True)
class Stage:
    """One model, the recordings it is judged on, and where it hears them."""

    model: str
    reference: Reference
    heard: Heard
    device: str

    @cached_property
    def _loaded(self) -> Any:  # noqa: ANN401 - RainforestSedModel and its columns
        source = str(self.heard.facts.model)
        model = load_model(source, self.device)
        return model, species_columns(source, model.space.species_names, self.reference.space.species_names)

    def frames(self, row: int) -> NDArray[Any]:
        """Frame probabilities (T, S) of a recording: those that were kept, or heard again."""
        if row in self.heard.frames:
            return self.heard.frames[row]
        model, columns = self._loaded
        waveform = torch.from_numpy(read_audio(self.reference.paths[row], sample_rate_hz=model.config.sample_rate_hz))
        return np.asarray(predict_recording(model, waveform).frame.float().numpy()[:, columns])

    def boxes(self, row: int, frames: NDArray[Any]) -> list[Box]:
        """Everything that was said and found in a recording, by start time."""
        found = [
            Box(c.species_id, c.start_s, c.end_s, c.low_hz, c.high_hz, "present") for c in self.reference.calls[row]
        ]
        for box in self.heard.boxes[row]:
            if not box.present:
                found.append(Box(box.species_id, box.start_s, box.end_s, *self._band(box.species_id), "absent"))
        decisions = self.heard.decisions or decide(self.reference.space.species_names)
        decoder, frame_s = make_decoder(decisions, self.heard.grid), self.heard.grid.frame_s
        end_s = self.heard.durations_s[row]
        for event in [*decoder.push(decisions.calibration(frames)), *decoder.finish()]:
            band = self._band(event.species)
            found.append(Box(event.species, event.start * frame_s, min(event.end * frame_s, end_s), *band, "detected"))
        return sorted(found, key=lambda box: (box.start_s, box.species))

    def _band(self, species: int) -> tuple[float, float]:
        return self.reference.space.species.band_hz(species) or (0.0, 1e9)


def recording_parts(stage: Stage, most: int, room: Room, *, audio: bool) -> Iterator[str]:
    """The best and the worst recordings of one model, as long as there is room."""
    mistakes = find_mistakes(stage.reference, stage.heard)
    best, worst = best_and_worst(mistakes, most)
    if not mistakes:
        yield paragraph("Nothing is known of any recording, so that none is best or worst.")
        return
    yield paragraph(
        f"Heard by {stage.model}. The error of a recording is that of the species which the model is furthest from: how far its "
        f"score is from 1 where it was marked as present, from 0 where it was marked as absent. Shown are at most {CLIP_S:g} s around it."
    )
    yield _legend()
    if not audio:
        yield paragraph("Players are left out (--no-audio).")
    for title, chosen in (("Smallest error", best), ("Largest error", worst)):
        yield heading(title, 3)
        if not chosen:
            yield paragraph("No recording is left for this list.")
        for mistake in chosen:
            yield _card(stage, mistake, room, audio=audio)


def _legend() -> str:
    items = "".join(f"<li><span class='state {state}'></span> {text}</li>" for state, text in STATES.items())
    return (
        f"<ul class='key' aria-label='Boxes'>{items}<li>rows: frame probability, black 0 to yellow 1</li></ul>"
        "<p class='note'>Numbers on boxes are those of the rows; white lines in rows: detected. Detections of species without a row are in the "
        "table alone. A click on a picture plays from there; the player takes the keyboard.</p>"
    )


def _card(stage: Stage, mistake: Mistake, room: Room, *, audio: bool) -> str:
    reference, grid, row = stage.reference, stage.heard.grid, mistake.row
    frames = stage.frames(row)
    boxes = stage.boxes(row, frames)
    start_s, end_s = _stretch(mistake, boxes, frames, grid.frame_s, stage.heard.durations_s[row])
    rate = grid.sample_rate_hz
    first = round(start_s * rate)
    waveform = read_audio(
        reference.paths[row],
        start_samples=first,
        num_samples=round(end_s * rate) - first,
        sample_rate_hz=rate,
        partial=True,
    )
    inside = [box for box in boxes if box.end_s > start_s and box.start_s < end_s]
    part = frames[int(start_s / grid.frame_s) : max(int(start_s / grid.frame_s) + 1, round(end_s / grid.frame_s))]
    shown = _species(mistake, inside, part)
    name, names = reference.recording_ids[row], reference.space.species_names
    parts = [heading(name, 4), paragraph(_about(stage, mistake))]
    parts.append(_scene(name, names, shown, inside, part, waveform, rate, (start_s, end_s)))
    rows = [(names[box.species], STATES[box.state], f"{box.start_s:.2f}", f"{box.end_s:.2f}") for box in inside]
    after = details("Boxes as a table", table(("species", "is", "from (s)", "to (s)"), rows)) if rows else ""
    if not room.take("".join(parts) + after):
        return paragraph(f"{name} is left out: no room is left on the page (--max-mb).")
    label = f"{name}, {start_s:.1f} to {end_s:.1f} s"
    sound = room.take(player(waveform, rate, label)) if audio else ""
    return f"<article class='heard'>{''.join(parts)}{sound}{after}</article>"


def _about(stage: Stage, mistake: Mistake) -> str:
    reference, worst = stage.reference, mistake.worst
    where = "" if worst.start_s is None else f" from {worst.start_s:.1f} to {worst.end_s:.1f} s"
    said = "present" if worst.present else "absent"
    site, moment = reference.sites[mistake.row], reference.moments[mistake.row]
    place = "".join([f" Site {site}." if site else "", f" Begins {moment:%Y-%m-%d %H:%M}." if moment else ""])
    name = reference.space.species_names[worst.species]
    return f"Error {worst.error:.2f}: {name} was marked as {said}{where} and scores {worst.score:.2f}.{place}"


def _stretch(
    mistake: Mistake, boxes: Sequence[Box], frames: NDArray[Any], frame_s: float, duration_s: float
) -> tuple[float, float]:
    """The seconds around what the model is furthest from: the box, the first call of the species, or its best frame."""
    worst = mistake.worst
    calls = [box for box in boxes if box.species == worst.species and box.state == "present"]
    if worst.start_s is not None and worst.end_s is not None:
        middle_s = (worst.start_s + worst.end_s) / 2
    elif worst.present and calls:
        middle_s = (calls[0].start_s + calls[0].end_s) / 2
    else:
        middle_s = float(frames[:, worst.species].argmax()) * frame_s
    start_s = max(0.0, min(middle_s - CLIP_S / 2, duration_s - CLIP_S))
    start_s = int(start_s / frame_s) * frame_s  # a full frame
    return start_s, min(start_s + CLIP_S, duration_s)


def _species(mistake: Mistake, boxes: Sequence[Box], frames: NDArray[Any]) -> list[int]:
    """Rows: what it is about, what was marked, what was detected, then what scores highest."""
    peak = frames.max(axis=0)
    marked = [box.species for box in boxes if box.state != "detected"]
    found = sorted({box.species for box in boxes} - set(marked), key=lambda species: -peak[species])
    rows = list(dict.fromkeys([mistake.worst.species, *marked, *found]))[:MOST_ROWS]
    others = [species for species in np.argsort(-peak, kind="stable").tolist() if species not in rows]
    return rows + others[: max(0, min(OTHERS, MOST_ROWS - len(rows)))]


def _scene(
    recording: str, names: Sequence[str], shown: Sequence[int], boxes: Sequence[Box], frames: NDArray[Any],
    waveform: NDArray[np.float32], rate: int, span_s: tuple[float, float],
) -> str:  # fmt: skip
    """Spectrogram with boxes, a row of frame probabilities for each species, and the seconds."""
    top_hz = rate / 2
    told = "; ".join(f"{names[b.species]} {STATES[b.state]} {b.start_s:.1f} to {b.end_s:.1f} s" for b in boxes[:12])
    alt = f"Spectrogram of {recording}, {span_s[0]:.1f} to {span_s[1]:.1f} s, up to {top_hz / 1000:g} kHz. {told or 'No boxes'}."
    source = data_uri("image/jpeg", spectrogram_jpeg(waveform, rate))
    drawn = [box for box in boxes if box.state != "detected" or box.species in shown]
    over = "".join(_box(box, names, shown, span_s, top_hz) for box in drawn)
    head = "<span class='playhead'></span>"
    lines = [
        f"<div class='label'>0 to {top_hz / 1000:g} kHz</div><div class='stage sound'>"
        f"<img alt='{html.escape(alt, quote=True)}' src='{source}'>{over}{head}</div>"
    ]
    for number, species in enumerate(shown, start=1):
        of_species = frames[:, species]
        peak_s = span_s[0] + int(of_species.argmax()) * (span_s[1] - span_s[0]) / max(len(of_species), 1)
        alt = f"Frame probability of {names[species]}: at most {of_species.max():.2f}, at {peak_s:.1f} s"
        source = data_uri("image/png", probability_png(of_species))
        marks = "".join(_span(box, span_s) for box in boxes if box.species == species)
        lines.append(
            f"<div class='label'>{number} {html.escape(names[species])}</div><div class='stage row'>"
            f"<img alt='{html.escape(alt, quote=True)}' src='{source}'>{marks}{head}</div>"
        )
    seconds = "".join(
        f"<span style='left:{_share(second, span_s):.2%}'>{second:g}</span>"
        for second in range(int(np.ceil(span_s[0])), int(span_s[1]) + 1)
        if second % 2 == 0
    )
    lines.append(f"<div class='label'>seconds</div><div class='axis' aria-hidden='true'>{seconds}</div>")
    return f"<div class='scene'>{''.join(lines)}</div>"


def _box(box: Box, names: Sequence[str], shown: Sequence[int], span_s: tuple[float, float], top_hz: float) -> str:
    low, high = box.low_hz / top_hz, min(box.high_hz, top_hz) / top_hz
    left, right = _share(box.start_s, span_s), _share(box.end_s, span_s)
    tip = html.escape(f"{names[box.species]}, {STATES[box.state]}, {box.start_s:.2f} to {box.end_s:.2f} s", quote=True)
    number = f"<b>{shown.index(box.species) + 1}</b>" if box.species in shown else ""
    place = f"left:{left:.2%};width:{right - left:.2%};bottom:{low:.2%};height:{max(high - low, 0.01):.2%}"
    return f"<span class='box {box.state}' title='{tip}' style='{place}'>{number}</span>"


def _span(box: Box, span_s: tuple[float, float]) -> str:
    left, right = _share(box.start_s, span_s), _share(box.end_s, span_s)
    return f"<span class='box {box.state}' style='left:{left:.2%};width:{right - left:.2%}'></span>"


def _share(second: float, span_s: tuple[float, float]) -> float:
    """Place in the stretch, held inside it."""
    return min(max((second - span_s[0]) / (span_s[1] - span_s[0]), 0.0), 1.0)
