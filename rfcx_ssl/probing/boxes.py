"""Judged boxes, scored as validation scores them: a box is as sure as the surest of its frames."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.data import Corpus
from rfcx_ssl.metrics import partial_auc
from rfcx_ssl.probing.features import Frames, Rows
from rfcx_ssl.species.space import LabelSpace
from rfcx_ssl.training.scores import box_cells


class HeldBoxes(NamedTuple):
    """The judged boxes of the held-out recordings."""

    species: NDArray[np.int64]  # (n,)
    present: NDArray[np.bool_]  # (n,)
    rows: tuple[Rows, ...]  # of each box: places of its frames among the held-out frames


def held_boxes(corpus: Corpus, frames: Frames, held_ids: Sequence[str], held_rows: Rows) -> HeldBoxes:
    """Every box of ``held_ids`` with a frame that says what the box says (``Corpus.judged``).

    Tags are left out: their frames are unknown, and a probe hears none but those that somebody judged.
    """
    judged = corpus.judged(held_ids, frames.grid)
    boxes, rows = [], []
    for name, of_recording in zip(judged.recording_ids, judged.boxes, strict=True):
        mine = np.flatnonzero(frames.recording[held_rows] == frames.recording_ids.index(name))
        for box in (box for box in of_recording if not box.weak):
            boxes.append(box)
            rows.append(mine[np.searchsorted(frames.place[held_rows[mine]], box.frames)])
    species = np.array([box.species_id for box in boxes], np.int64)
    return HeldBoxes(species, np.array([box.present for box in boxes], np.bool_), tuple(rows))


def box_auc(boxes: HeldBoxes, logits: NDArray[np.floating], space: LabelSpace) -> float:
    """AUROC of boxes, mean over seeds and over species that have present and absent ones; NaN where none has.

    ``logits`` (seeds, N, K) are of the held-out frames. A species is the best of its outputs.
    """
    values = []
    for one in logits:
        best = [one[rows][:, space.outputs_of[s]].max() for s, rows in zip(boxes.species, boxes.rows, strict=True)]
        cells = box_cells(boxes.species, boxes.present, np.array(best, np.float32), space.num_species)
        values.append(partial_auc(*cells).macro)
    return float(np.mean(values))
