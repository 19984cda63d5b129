"""What one visitor does: each act takes a seat and gives the next one, with what the page then shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from rfcx_ssl.app.session import Heard, Session, Subject
from rfcx_ssl.app.shelf import uploaded
from rfcx_ssl.app.view import VIEW_S, clip_start, media, timeline
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import ConfigError

Shown = dict[str, Any]


@dataclass(frozen=True)
class Seat:
    """Where a visitor is. It never leaves this machine: what a page sends is names and numbers, looked up here."""

    recording: Recording | None = None
    at_s: float = 0.0  # where the view begins
    thresholds: Mapping[int, float] = field(default_factory=dict)  # by species, as they were moved
    question: int | None = None  # of the review
    annotator: str = ""


class Desk:
    """The acts of visitors. Each raises an :class:`~rfcx_ssl.errors.RfcxError` that says why it cannot be done."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pick(self, seat: Seat, name: str) -> Seat:
        """Open a recording of the shelf."""
        return self._sit(seat, self.session.shelf.get(name))

    def take(self, seat: Seat, path: Path) -> Seat:
        """Open a file that was uploaded."""
        return self._sit(seat, uploaded(path))

    def move(self, seat: Seat, at_s: float) -> Seat:
        """Show the stretch that begins at ``at_s``."""
        heard = self._heard(seat)
        length_s = heard.num_samples / self.session.grid.sample_rate_hz
        return replace(seat, at_s=clip_start(length_s, heard.recording.start_s, at_s))

    def set_threshold(self, seat: Seat, species: str | None, value: float | None) -> Seat:
        """Move the threshold of a species, or of all (None); a ``value`` of None is as tuned."""
        names = self.session.species.names
        if species is not None and species not in names:
            raise ConfigError(f"species {species!r} is none of the model's")
        columns = range(len(names)) if species is None else [names.index(species)]
        kept = {column: own for column, own in seat.thresholds.items() if column not in columns}
        moved = {} if value is None else dict.fromkeys(columns, value)
        self.session.decide(moved)
        return replace(seat, thresholds=kept | moved)

    def threshold(self, seat: Seat, species: str | None) -> float:
        """The threshold in force; of all species the mean, where they differ."""
        values = self.session.decide(seat.thresholds).threshold
        names = self.session.species.names
        return float(values.mean() if species not in names else values[names.index(species)])

    def next_question(self, seat: Seat) -> Seat:
        """Go to the next question of the review that this person has not answered."""
        item = self.session.next_question(seat.question, seat.annotator)
        if item is None:
            raise ConfigError("all questions of the review are answered" if self.session.questions else "no review")
        there = self.pick(seat, item.recording)
        return replace(self.move(there, (item.start_s + item.end_s - VIEW_S) / 2), question=item.question)

    def after_question(self, seat: Seat) -> Seat:
        """The next question once one is answered; where none is left, the recording stays."""
        left = self.session.next_question(seat.question, seat.annotator) is not None
        return self.next_question(seat) if left else replace(seat, question=None)

    def answer(self, seat: Seat, said: str, about: Subject) -> Seat:
        """Keep an answer about a box of the recording that is open."""
        recording = self.session.answer(self._heard(seat), about, said, seat.annotator)
        return replace(seat, recording=recording)

    def show(self, seat: Seat, *, with_media: bool = True) -> Shown:
        """What the page shows; ``media`` only where it is new."""
        heard, session = self._heard(seat), self.session
        events = session.decode(heard, seat.thresholds)
        marks = session.marks(heard.recording, seat.annotator)
        shown = timeline(session, heard, events, marks, seat.at_s, self._question(seat))
        done = sum(session.is_answered(item, seat.annotator) for item in session.questions.values())
        shown["review"] = {"done": done, "of": len(session.questions)}
        return {"timeline": shown, **({"media": media(session, heard, seat.at_s)} if with_media else {})}

    def _question(self, seat: Seat) -> Subject | None:
        item = self.session.questions.get(seat.question or 0)
        return None if item is None else Subject(item.species, item.start_s, item.end_s, item.question)

    def _sit(self, seat: Seat, recording: Recording) -> Seat:
        heard = self.session.open(recording)
        return replace(seat, recording=recording, at_s=heard.recording.start_s, question=None)

    def _heard(self, seat: Seat) -> Heard:
        if seat.recording is None:
            raise ConfigError("pick or drop a recording first")
        return self.session.open(seat.recording)
