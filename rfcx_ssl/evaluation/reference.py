"""What models are held against: some recordings, and what is known of them, completely or in part."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np

from rfcx_ssl.annotations import Event
from rfcx_ssl.annotations.layout import PRESENT_TABLE, TRUTH_TABLE
from rfcx_ssl.data import Corpus, DataSettings, Truth, load_corpus, load_truth, recording_truth
from rfcx_ssl.data.recordings import RecordingsTable, read_recordings_table
from rfcx_ssl.data.settings import load_data_settings
from rfcx_ssl.data.when import recorded_at
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.folds import Folds
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.judged import JudgedBox
from rfcx_ssl.metrics.arrays import BoolArray
from rfcx_ssl.project import SUFFIXES
from rfcx_ssl.species import LabelSpace

Boxes = tuple[tuple[JudgedBox, ...], ...]


@dataclass(frozen=True)
class Reference:
    """R recordings, S species, and what somebody said of them."""

    root: Path  # of the data set
    what: str  # which recordings these are, in words
    recording_ids: tuple[str, ...]
    paths: tuple[Path, ...]  # audio file of each
    space: LabelSpace
    truth: BoolArray  # (R, S) whether a species is heard anywhere in a recording
    known: BoolArray  # (R, S)
    calls: tuple[tuple[Event, ...], ...]  # of each recording, by start time
    timed: BoolArray  # (R,) whether every call of every species is there with its times: events can be judged
    boxes: Callable[[FrameGrid], Boxes]  # what was said of boxes, on a model's frames
    sites: tuple[str | None, ...]
    moments: tuple[datetime | None, ...]  # by the recorder's clock, at which each recording starts

    @property
    def hours(self) -> tuple[int | None, ...]:
        """Hour of the day at which each recording starts."""
        return tuple(None if moment is None else moment.hour for moment in self.moments)

    def part(self, rows: Sequence[int]) -> "Reference":
        """Some of the recordings."""
        pick = np.array(rows, np.int64)
        return dataclasses.replace(
            self,
            truth=self.truth[pick],
            known=self.known[pick],
            timed=self.timed[pick],
            boxes=lambda grid: tuple(map(self.boxes(grid).__getitem__, rows)),
            recording_ids=tuple(map(self.recording_ids.__getitem__, rows)),
            paths=tuple(map(self.paths.__getitem__, rows)),
            calls=tuple(map(self.calls.__getitem__, rows)),
            sites=tuple(map(self.sites.__getitem__, rows)),
            moments=tuple(map(self.moments.__getitem__, rows)),
        )


def open_reference(labels: Path, config: str | None, overrides: Sequence[str], fold: int | None) -> Reference:
    """The recordings of a data set that models are judged on.

    Those of its ``truth.csv``, completely known, where it has one and nothing else is asked for; else its annotated
    recordings, read with the settings ``config`` (by default rfcx in RFCX's layout, annotations in any other) and
    ``overrides``, or as a project file says: see :func:`labelled_reference`.

    Raises:
        RfcxError: there is no such data set, or it breaks a rule.
    """
    if not labels.is_dir() and not (labels.suffix in SUFFIXES and labels.is_file()):
        raise AnnotationError(f"--labels {labels}: neither a folder nor a project file")
    if config is None and fold is None and not overrides and (labels / TRUTH_TABLE).is_file():
        return complete_reference(load_truth(labels), labels, "test recordings")
    layout = "rfcx" if (labels / PRESENT_TABLE).is_file() else "annotations"
    return labelled_reference(load_data_settings(labels, config or layout, overrides), fold)


def complete_reference(truth: Truth, root: Path, what: str) -> Reference:
    """Recordings of a data set's ``truth.csv``, whose every call is known; nobody judged boxes there."""
    nothing: Boxes = ((),) * len(truth.paths)
    sites, moments = places_and_moments(read_recordings_table(root), truth.recording_ids)
    return Reference(
        root=root,
        what=what,
        recording_ids=truth.recording_ids,
        paths=truth.paths,
        space=truth.space,
        truth=truth.truth > 0,
        known=np.ones(truth.truth.shape, np.bool_),
        calls=truth.calls,
        timed=np.ones(len(truth.paths), np.bool_),
        boxes=lambda _: nothing,
        sites=sites,
        moments=moments,
    )


def labelled_reference(settings: DataSettings, fold: int | None) -> Reference:
    """Annotated recordings, read as training reads them: the validation side of ``fold``; for None the test part, or all.

    Raises:
        AnnotationError: a wrong row, or a fold that does not exist. AudioError: as in ``load_corpus``.
    """
    corpus = load_corpus(dataclasses.replace(settings, cache=False))  # which is for training; each is heard once here
    names, what = choose_part(corpus.folds, fold)
    truth, known = recording_truth(corpus.annotations, names, num_species=corpus.space.num_species)
    own = [corpus.annotations.events(name) for name in names]
    calls = (tuple(event for event in events if event.present and not event.weak) for events in own)
    is_timed = [  # a tag does not say when its species calls
        corpus.annotations.is_complete(name) and not any(event.is_tag for event in events)
        for name, events in zip(names, own, strict=True)
    ]
    sites, moments = places_and_moments(corpus.table, names)
    return Reference(
        root=settings.root,
        what=what,
        recording_ids=tuple(names),
        paths=tuple(corpus.recording_of[name].path for name in names),
        space=corpus.space,
        truth=truth > 0,
        known=known,
        calls=tuple(calls),
        timed=np.array(is_timed, np.bool_),
        boxes=lambda grid: _at_rate(corpus, grid.sample_rate_hz).judged(names, grid).boxes,
        sites=sites,
        moments=moments,
    )


def choose_part(folds: Folds, fold: int | None) -> tuple[list[str], str]:
    """The recordings to judge, and what they are called."""
    if fold is not None:
        return folds.valid_ids(fold), f"validation side of fold {fold} of {folds.num_folds}"
    if folds.test_ids:
        return sorted(folds.test_ids), "the test part, which no fold trains on"
    return folds.recording_ids, "all annotated recordings"


def places_and_moments(
    cells: RecordingsTable, recording_ids: Sequence[str]
) -> tuple[tuple[str | None, ...], tuple[datetime | None, ...]]:
    """Site and start of each recording, by ``recordings.csv`` and the dates in names; None where nothing says so.

    Raises:
        AnnotationError: the table cannot be read, or a date in it.
    """
    sites = tuple(cells.get(name, {}).get("site") or None for name in recording_ids)
    return sites, tuple(recorded_at(name, cells.get(name, {})) for name in recording_ids)


def _at_rate(corpus: Corpus, sample_rate_hz: int) -> Corpus:
    """The corpus with its recordings counted in samples of a model's rate, as its frame labels need."""
    if sample_rate_hz == corpus.settings.sample_rate_hz:
        return corpus
    return load_corpus(dataclasses.replace(corpus.settings, sample_rate_hz=sample_rate_hz))
