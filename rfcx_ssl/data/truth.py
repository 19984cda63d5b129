"""What recordings are scored against as a whole: full truth where it exists, what is known where it does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations, Event, read_truth_events
from rfcx_ssl.annotations.layout import RECORDING_COLUMNS, RECORDINGS_TABLE, SPECIES_TABLE, TRUTH_TABLE
from rfcx_ssl.annotations.spans import EVERYWHERE, marked
from rfcx_ssl.audio import require_exact_time
from rfcx_ssl.data.recordings import audio_by_id
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.species import LabelSpace, label_space, read_species, rfcx_species

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


class RecordingTruth(NamedTuple):
    """Recording-level labels of R recordings and S species."""

    truth: FloatArray  # (R, S) in {0, 1}; 0 where unknown
    known: BoolArray  # (R, S)


@dataclass(frozen=True)
class Truth:
    """Complete truth of one split: every call of every recording."""

    recording_ids: tuple[str, ...]
    truth: FloatArray  # (R, S) in {0, 1}
    events: Annotations
    paths: tuple[Path, ...]  # audio file of each recording
    space: LabelSpace

    @cached_property
    def calls(self) -> tuple[tuple[Event, ...], ...]:
        """The calls of each recording by start time."""
        return tuple(self.events.events(name) for name in self.recording_ids)


def recording_truth(annotations: Annotations, recording_ids: Sequence[str], *, num_species: int) -> RecordingTruth:
    """What is known about whole recordings.

    A species with a present box or tag is present. One without is absent where ``complete`` spans for it cover the
    recording from end to end, which an open end (inf) says (:func:`rfcx_ssl.annotations.spans.fit_to_recordings` opens
    spans that reach the end). An absent box says nothing about the rest of its recording, so it makes nothing known here:
    boxes are judged as boxes, by :func:`rfcx_ssl.labels.judged.judged_boxes`.
    """
    truth = np.zeros((len(recording_ids), num_species), np.float32)
    known = np.zeros((len(recording_ids), num_species), np.bool_)
    for row, name in enumerate(recording_ids):
        for group in marked(annotations.spans(name)):
            known[row, slice(None) if group.species is None else group.species] = group.stretches == (EVERYWHERE,)
        heard = [event.species_id for event in annotations.events(name) if event.present]
        truth[row, heard], known[row, heard] = 1.0, True
    return RecordingTruth(truth, known)


def load_truth(path: Path, split: str = "test", *, space: LabelSpace | None = None) -> Truth:
    """Read ``truth.csv`` (or the data set's folder that holds it) for one split, with the audio beside it.

    The recordings are those of ``recordings.csv``, or the audio files of the split's folder where there is no such
    table: a recording in which nothing calls has no row in ``truth.csv``. A ``truth.csv`` without a column ``split``
    is about these recordings alone (docs/metrics.md). ``space`` is by default that of the ``species.csv`` beside it, of RFCX
    where there is none.

    Raises:
        AnnotationError: a wrong row or one about another recording, or a recording of the split without an audio file.
        AudioError: a recording with calls is unreadable, cut off, or an MP3 without exact time.
    """
    path = path if path.suffix == ".csv" else path / TRUTH_TABLE
    table = path.parent / SPECIES_TABLE
    space = space or label_space(read_species(table) if table.is_file() else rfcx_species())
    folder = path.parent / split
    audio = audio_by_id(path.parent, [split])
    names = sorted(_split_ids(path.parent, split) or audio)
    if not names:
        raise AnnotationError(
            f"{path.parent}: all recordings of split {split!r} have no audio file in {folder}; "
            "rfcx-ssl synth ROOT makes a data set with complete truth"
        )
    if missing := [name for name in names if name not in audio]:
        raise AnnotationError(
            f"{path}: {len(missing)} recordings of split {split!r} have no audio file (first: {missing[0]}) in {folder}"
        )
    if not path.is_file():
        raise AnnotationError(f"{path}: missing; complete truth is needed to judge recordings")
    heard = read_truth_events(path, split=split, species=space.species).table
    if len(foreign := heard[~heard["recording_id"].isin(names)]):
        name, source = foreign["recording_id"].iloc[0], foreign["source"].iloc[0]
        raise AnnotationError(f"{source}: no recording {name!r} in {folder}")
    for name in sorted(set(heard["recording_id"])):
        require_exact_time(audio[name])
    events = Annotations(heard, names)
    truth, _ = recording_truth(events, names, num_species=space.num_species)
    return Truth(tuple(names), truth, events, tuple(audio[name] for name in names), space)


def _split_ids(root: Path, split: str) -> list[str]:
    table = root / RECORDINGS_TABLE
    if not table.is_file():
        return []
    rows = iter_csv(table, ("recording_id",), ("split",), others=RECORDING_COLUMNS)
    ids: dict[str, None] = {}
    for line, cells in rows:
        if cells.get("split") == split:
            if cells["recording_id"] in ids:
                raise AnnotationError(f"{table}:{line}: recording {cells['recording_id']} is listed twice")
            ids[cells["recording_id"]] = None
    return list(ids)
