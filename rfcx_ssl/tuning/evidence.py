"""What is known of one model's scores: boxes, whole recordings, and every call of some recordings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.decoding.frame_events import FrameArray
from rfcx_ssl.evaluation.reference import Reference
from rfcx_ssl.evaluation.systems import Heard
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.metrics import pool_segments
from rfcx_ssl.metrics.arrays import BoolArray, FloatArray
from rfcx_ssl.metrics.events import Call, merge_calls
from rfcx_ssl.tuning.groups import Groups, make_groups
from rfcx_ssl.tuning.tally import IntArray

Kind: TypeAlias = Literal["calls", "boxes", "recordings"]
KINDS: tuple[Kind, ...] = get_args(Kind)
SEGMENT_S = 1.0  # of recordings whose every call is known, calibration judges every second


class Cells(NamedTuple):
    """What somebody said, and the model's best frame there: n boxes, recordings or seconds, each of one species."""

    species: IntArray  # (n,)
    recording: IntArray  # (n,)
    scores: FloatArray  # (n,)
    present: BoolArray  # (n,)

    def of(self, species: int) -> "Cells":
        """Those of one species."""
        mine = self.species == species
        return Cells(*(part[mine] for part in self))


@dataclass(frozen=True)
class Timed:
    """Recordings whose every call is known with its times."""

    frames: Mapping[int, FrameArray]  # (T, S) by recording
    calls: Mapping[int, Sequence[Call]]  # merged where they touch
    durations_s: Mapping[int, float]
    grid: FrameGrid

    @cached_property
    def seconds(self) -> Cells:
        """Every second of every species: present where a call reaches into it."""
        parts = []
        for recording, frames in self.frames.items():
            target = np.zeros(frames.shape, np.float32)
            for start_s, end_s, species in self.calls[recording]:
                target[self.grid.frame_slice(start_s, end_s, len(frames)), species] = 1.0
            of_all = pool_segments(target, np.ones_like(target), frames, round(SEGMENT_S / self.grid.frame_s))
            parts.append(cells_of(of_all.scores, of_all.truth, of_all.known, np.full(len(of_all.truth), recording)))
        return Cells(*(np.concatenate(part) for part in zip(*parts, strict=True)))


@dataclass(frozen=True)
class Evidence:
    """R recordings, S species, one model."""

    species: tuple[str, ...]
    groups: Groups  # of the recordings
    boxes: Cells
    recordings: Cells
    timed: Timed | None  # None where no recording's every call is known

    def cells(self, kind: Kind) -> Cells:
        """What calibration is fitted to."""
        if kind == "calls":
            assert self.timed is not None
            return self.timed.seconds
        return self.boxes if kind == "boxes" else self.recordings

    def counts(self, kind: Kind) -> tuple[IntArray, IntArray]:
        """How often each species is there, and how often it is known not to be, (S,): calls and seconds without one,
        or boxes or recordings of both states.
        """
        size = len(self.species)
        if kind == "calls" and self.timed is None:
            return np.zeros(size, np.int64), np.zeros(size, np.int64)
        cells = self.cells(kind)
        present = np.bincount(cells.species[cells.present], minlength=size)
        if kind == "calls" and self.timed is not None:
            heard = [species for calls in self.timed.calls.values() for _, _, species in calls]
            present = np.bincount(np.array(heard, np.int64), minlength=size)
        return present, np.bincount(cells.species[~cells.present], minlength=size)


def cells_of(scores: NDArray[np.floating], truth: BoolArray, known: BoolArray, recording: IntArray) -> Cells:
    """The known cells of tables (n, S), whose rows are of recordings ``recording`` (n,)."""
    rows, species = np.nonzero(known)
    return Cells(species, recording[rows], scores[known].astype(np.float64), truth[known])


def evidence_of(reference: Reference, heard: Heard) -> Evidence:
    """What one model has heard of labelled recordings."""
    boxes = [(row, box.species_id, box.present) for row, own in enumerate(heard.boxes) for box in own]
    rows, species, present = (np.array([box[place] for box in boxes], np.int64) for place in range(3))
    timed = {row: heard.durations_s[row] for row in np.flatnonzero(reference.timed).tolist()}
    calls = {
        row: merge_calls([(c.start_s, c.end_s, c.species_id) for c in reference.calls[row]], duration_s)
        for row, duration_s in timed.items()
    }
    everything = np.arange(len(reference.paths))
    return Evidence(
        reference.space.species_names,
        make_groups(reference.recording_ids, reference.sites),
        Cells(species, rows, heard.box_scores.astype(np.float64), present > 0),
        cells_of(heard.peaks, reference.truth & reference.known, reference.known, everything),
        Timed(heard.frames, calls, timed, heard.grid) if timed else None,
    )
