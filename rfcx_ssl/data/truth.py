"""What recordings are scored against: full truth where it exists, three-state recording labels where it does not."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Annotations, read_truth_events
from rfcx_ssl.annotations.layout import RECORDINGS_TABLE, TRUTH_TABLE
from rfcx_ssl.annotations.rows import iter_csv
from rfcx_ssl.data.recordings import audio_by_id
from rfcx_ssl.errors import AnnotationError
from rfcx_ssl.species import RFCX_NUM_SPECIES

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


class ClipTruth(NamedTuple):
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


def clip_truth(
    annotations: Annotations,
    recording_ids: Sequence[str],
    *,
    num_species: int = RFCX_NUM_SPECIES,
    absent_boxes: bool = True,
) -> ClipTruth:
    """Recording-level truth for masked metrics.

    A species with a present box is present. In a ``complete`` recording all others are absent. With ``absent_boxes``,
    a species with absent boxes only counts as absent from the recording, the usual approximation for RFCX: strictly
    an absent box says nothing about the rest of the recording, and without it only present cells are known.
    """
    truth = np.zeros((len(recording_ids), num_species), np.float32)
    known = np.zeros((len(recording_ids), num_species), np.bool_)
    for row, name in enumerate(recording_ids):
        if annotations.is_complete(name):
            known[row] = True
        for event in annotations.events(name):
            if event.present:
                truth[row, event.species_id] = 1.0
            if event.present or absent_boxes:
                known[row, event.species_id] = True
    return ClipTruth(truth, known)


def load_truth(path: Path, split: str = "test", *, num_species: int = RFCX_NUM_SPECIES) -> Truth:
    """Read ``truth.csv`` (or the data set's folder that holds it) for one split, with the audio beside it.

    The recordings are those of ``recordings.csv``, or the audio files of the split's folder where there is no such
    table: a recording in which nothing calls has no row in ``truth.csv``.

    Raises:
        AnnotationError: a wrong row, or a recording of the split without an audio file.
    """
    path = path / TRUTH_TABLE if path.is_dir() else path
    audio = audio_by_id(path.parent, [split])
    names = sorted(_split_ids(path.parent, split) or audio)
    missing = [name for name in names if name not in audio]
    if missing or not names:
        first = f" (first: {missing[0]})" if missing else ""
        raise AnnotationError(
            f"{path}: {len(missing) or 'all'} recordings of split {split!r} have no audio file{first}"
        )
    heard = read_truth_events(path, split=split, num_species=num_species).select(names)
    events = Annotations(heard.table, names)
    truth, _ = clip_truth(events, names, num_species=num_species)
    return Truth(tuple(names), truth, events, tuple(audio[name] for name in names))


def _split_ids(root: Path, split: str) -> list[str]:
    table = root / RECORDINGS_TABLE
    if not table.is_file():
        return []
    rows = iter_csv(table, ("recording_id", "split"))
    return [cells["recording_id"] for _, cells in rows if cells["split"] == split]
