"""What an expert said of whole recordings and of boxes in them: what a model's scores are held against."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.species.space import LabelSpace

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]


class JudgedBox(NamedTuple):
    """One statement: the species was heard, or ruled out, in these frames. Its score is the best of them."""

    box: int  # position among the recording's boxes
    species_id: int
    start_s: float
    end_s: float
    present: bool
    frames: IntArray
    weak: bool = False  # a tag: the species was heard in some of the frames


@dataclass(frozen=True)
class Judged:
    """What is known about R recordings and S species."""

    recording_ids: tuple[str, ...]
    truth: BoolArray  # (R, S) whether the species is heard anywhere in the recording
    known: BoolArray  # (R, S)
    boxes: tuple[tuple[JudgedBox, ...], ...]  # of each recording

    def rows(self, rows: IntArray) -> "Judged":
        """The same of some of the recordings."""
        kept = rows.tolist()
        names = tuple(self.recording_ids[row] for row in kept)
        return Judged(names, self.truth[rows], self.known[rows], tuple(self.boxes[row] for row in kept))


def judged_boxes(
    events: Iterable[Event], target: FloatArray, known: FloatArray, grid: FrameGrid
) -> tuple[JudgedBox, ...]:
    """The boxes and tags of a recording with the frames they speak for.

    Those are the frames that the box touches and whose label, ``target`` and ``known`` (T, S), is known and says the
    same: what training is taught of the box. The margin at its edges is no part of it, nor is what a present box of the
    same species takes from an absent one. A tag speaks for all frames that its window touches, but those in which the
    species is known to be absent. A box or tag without any such frame is left out.
    """
    judged = []
    for position, event in enumerate(events):
        touched = grid.frame_slice(event.start_s, event.end_s, len(target))
        heard, is_known = target[touched, event.species_id] > 0, known[touched, event.species_id] > 0
        says_so = heard | ~is_known if event.is_tag else is_known & (heard == event.present)
        frames = touched.start + np.flatnonzero(says_so)
        if frames.size:
            box = (position, event.species_id, event.start_s, event.end_s, event.present)
            judged.append(JudgedBox(*box, frames, event.is_tag))
    return tuple(judged)


def species_labels(target: FloatArray, known: FloatArray, space: LabelSpace) -> tuple[FloatArray, FloatArray]:
    """Labels of the outputs (T, K) as labels of the species (T, S).

    A species is present where one of its outputs is, and absent where all of them are known to be.
    """
    merged_target, merged_known = (np.zeros((len(target), space.num_species), np.float32) for _ in range(2))
    heard = target * known
    alone = [species for species, outputs in enumerate(space.outputs_of) if len(outputs) == 1]
    columns, alone_at = _indices([space.outputs_of[species][0] for species in alone]), _indices(alone)
    merged_target[:, alone_at] = target[:, columns]
    merged_known[:, alone_at] = np.where(heard > 0, heard, known)[:, columns]
    for species, outputs in enumerate(space.outputs_of):
        if len(outputs) > 1:
            present = heard[:, outputs].max(axis=1)
            merged_target[:, species] = target[:, outputs].max(axis=1)
            merged_known[:, species] = np.where(present > 0, present, known[:, outputs].min(axis=1))
    return merged_target, merged_known


def _indices(positions: list[int]) -> slice | list[int]:
    """The positions, as a slice where they have no gaps: hundreds of columns are then copied as one block."""
    if positions and positions == list(range(positions[0], positions[-1] + 1)):
        return slice(positions[0], positions[-1] + 1)
    return positions
