"""What the page can do, without a page: open a recording, decode it with other thresholds, take an answer.

A recording is heard once. Its frame probabilities stay in memory for a while, and moving a threshold decodes them again, by the
decoder and the rules of ``rfcx-ssl detect``.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.annotations import UNKNOWN_BAND_HZ
from rfcx_ssl.app.public import PublicText
from rfcx_ssl.app.shelf import Shelf, keep
from rfcx_ssl.audio import audio_info
from rfcx_ssl.decoding.decisions import Decisions, decisions_in_force
from rfcx_ssl.decoding.decode import RecordingDecoder
from rfcx_ssl.decoding.detections import Detection, to_detections
from rfcx_ssl.decoding.score_map import ScoreMap
from rfcx_ssl.detection.hear import Ear
from rfcx_ssl.detection.read_ahead import open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AudioError, ConfigError
from rfcx_ssl.inference.batches import ScoreError
from rfcx_ssl.review.journal import Journal, Mark
from rfcx_ssl.review.plan import Item

MOST_HEARD_S = 3600.0  # of a recording: a page has to answer
REMEMBERED = 4  # recordings whose frames stay in memory
UPLOADS = "recordings"  # folder for uploads that were answered, beside the answers
Thresholds = Mapping[int, float]  # by species; the others are as tuned


@dataclass(frozen=True, eq=False)
class Heard:
    """A recording and what the model said of it: ``frames`` (T, S), ``clip`` (S,), before any rule."""

    recording: Recording
    frames: NDArray[np.float32]
    clip: NDArray[np.float32]
    num_samples: int  # at the model's rate
    scores: ScoreMap
    notes: tuple[str, ...]

    def probability(self) -> NDArray[np.float32]:
        """Frames (T, S) as they are decoded: calibrated, and with what is known of the species."""
        return self.scores(self.frames)


class Subject(NamedTuple):
    """What an answer is about: a species in a box, and of which question of a review, if of one."""

    species: str
    start_s: float
    end_s: float
    question: int | None = None


class Session:
    """A model, a shelf, a journal, and the questions of a review that are about recordings on the shelf.

    One for all visitors: what differs between them is theirs to keep (:mod:`rfcx_ssl.app.desk`).
    """

    def __init__(
        self, ear: Ear, shelf: Shelf, journal: Journal, questions: Sequence[Item] = (), weight: float = 1.0
    ) -> None:
        if not 0 < weight <= 1:
            raise ConfigError(f"--weight {weight:g} must be above 0 and at most 1")
        self.ear, self.shelf, self.journal, self.weight = ear, shelf, journal, weight
        self.grid, self.species = ear.ensemble.grid, ear.ensemble.species
        self.public = PublicText([*shelf.folders, journal.folder.parent])
        places = ((item, shelf.find(item.recording, item.file)) for item in questions)
        self.questions = {
            item.question: replace(item, recording=name, file=shelf.get(name).path)
            for item, name in places
            if name is not None
        }
        self.num_lost = len(questions) - len(self.questions)
        self._heard: OrderedDict[Recording, Heard] = OrderedDict()
        self._lock = threading.Lock()  # one recording is heard at a time

    def open(self, recording: Recording) -> Heard:
        """What the model says of a recording, heard now or remembered; of a very long one the first hour.

        Raises:
            AudioError: nothing of it can be heard.
        """
        with self._lock:
            heard = self._heard.get(recording)
            if heard is None:
                heard = self._hear(recording)
            self._remember(heard)
        return heard

    def decide(self, thresholds: Thresholds) -> Decisions:
        """The decisions in force: as tuned, but where a threshold was moved; it brings its own lower one, half of it.

        Raises:
            ConfigError: a threshold that is none.
        """
        decisions = self.ear.rules.decisions
        high, low = decisions.threshold.copy(), decisions.low_threshold.copy()
        for value in set(thresholds.values()):
            try:
                settings = replace(self.ear.settings, threshold=value, low_threshold=None)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            moved = decisions_in_force(decisions, settings, decisions.species)
            columns = [column for column, own in thresholds.items() if own == value]
            high[columns], low[columns] = moved.threshold[columns], moved.low_threshold[columns]
        return replace(decisions, threshold=high, low_threshold=low)

    def decode(self, heard: Heard, thresholds: Thresholds) -> list[Detection]:
        """The events of a recording, in order of time."""
        decoder = RecordingDecoder(self.decide(thresholds), self.ear.settings, self.grid, heard.scores)
        decoder.push(heard.frames, heard.clip)
        name, offset_s = heard.recording.name, heard.recording.start_s
        return to_detections(decoder.finish(), name, self.grid, self.species, heard.num_samples, offset_s=offset_s)

    def answer(self, heard: Heard, about: Subject, said: str, annotator: str) -> Recording:
        """Keep what somebody says about a box; returns the recording, which for an upload now lies beside the answers.

        Raises:
            AnnotationError: a label or box without a meaning. ConfigError: nobody is named, or nothing can be written.
        """
        recording = heard.recording
        if recording.name not in self.shelf.names or self.shelf.get(recording.name).path != recording.path:
            recording = keep(recording, self.journal.folder / UPLOADS)
            self._remember(replace(heard, recording=recording))
        item = self._item(recording, heard, about)
        self.journal.add(item, said, annotator, self.weight)
        return recording

    def marks(self, recording: Recording, annotator: str) -> list[Mark]:
        """What this person has said about a recording."""
        return [
            mark
            for mark in self.journal.marks()
            if mark.file == recording.path and mark.annotator == annotator.strip()
        ]

    def is_answered(self, item: Item, annotator: str) -> bool:
        """Whether this person has answered a question."""
        return any(
            mark.annotator == annotator.strip() and mark.same_sound(item.file, item.species, item.start_s, item.end_s)
            for mark in self.journal.marks()
        )

    def next_question(self, after: int | None, annotator: str) -> Item | None:
        """The next question that this person has not answered, from the start again at the end; None when all are."""
        later = sorted(self.questions, key=lambda number: (after is not None and number <= after, number))
        return next((item for n in later if not self.is_answered(item := self.questions[n], annotator)), None)

    def _remember(self, heard: Heard) -> None:
        self._heard[heard.recording] = heard
        self._heard.move_to_end(heard.recording)
        while len(self._heard) > REMEMBERED:
            self._heard.popitem(last=False)

    def _item(self, recording: Recording, heard: Heard, about: Subject) -> Item:
        """A question of the review, or one made up about an event or a stretch that somebody marked."""
        asked = None if about.question is None else self.questions.get(about.question)
        box = (about.species, about.start_s, about.end_s)
        if asked is not None and box == (asked.species, asked.start_s, asked.end_s):
            return asked
        if about.species not in self.species.names:
            raise ConfigError(f"species {about.species!r} is none of the model's")
        low_hz, high_hz = self.species.band_hz(self.species.names.index(about.species)) or UNKNOWN_BAND_HZ
        length_s = recording.start_s + heard.num_samples / self.grid.sample_rate_hz
        return Item(
            question=0, clip="", at_s=0.0, clip_s=length_s, recording=recording.name, file=recording.path,
            clip_start_s=0.0, start_s=about.start_s, end_s=about.end_s, low_hz=low_hz, high_hz=high_hz,
            species=about.species, score=0.0, why="page",
        )  # fmt: skip

    def _hear(self, recording: Recording) -> Heard:
        part, rate, count = _first_hour(recording), self.grid.sample_rate_hz, 0
        with open_readers(0) as readers:
            ((_, opened),) = readers.open_all([(0, self.ear.stretch_of(part))])
            stream = self.ear.ensemble.open(name=Path(recording.path).name)
            for block in opened.blocks():
                count += len(block[rate])
                stream.push({rate_hz: torch.from_numpy(samples) for rate_hz, samples in block.items()})
        problem = opened.problem
        if not count:
            raise AudioError(problem or f"{recording.name}: holds no sound")
        stream.end()
        self.ear.ensemble.flush()
        try:
            piece = stream.ready()
        except ScoreError as error:
            raise AudioError(f"{recording.name}: {error}") from None
        if piece is None:
            raise AudioError(f"{recording.name}: too short for the model")
        maps = self.ear.rules.of(recording.name, recording.path, opened.header.recorded_at)
        notes = [self.public(note) for note in (*maps.warnings, *([problem] if problem else []))]
        if part.end_s != recording.end_s:
            notes.append(f"only its first {MOST_HEARD_S / 60:g} minutes were heard")
        return Heard(recording, piece.frame.numpy(), piece.clip.numpy(), count, maps.scores, tuple(notes))


def _first_hour(recording: Recording) -> Recording:
    """As much of a recording as a page hears."""
    if recording.end_s is None and audio_info(recording.path, partial=True).duration_s <= MOST_HEARD_S:
        return recording
    return replace(recording, end_s=recording.start_s + MOST_HEARD_S)
