"""What the ``complete`` spans of a recording say of a crop: where, and of which outputs, all that is not marked is absent."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Span
from rfcx_ssl.annotations.spans import Marked, marked
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.intervals import majority_slice
from rfcx_ssl.species.space import LabelSpace

BoolArray = NDArray[np.bool_]


def marked_frames(
    complete: Sequence[Span], grid: FrameGrid, space: LabelSpace, *, start_s: float, num_frames: int
) -> BoolArray:
    """(T, K) cells of which at least half lies in spans for their species; the noise output's are of no meaning."""
    cells = np.zeros((num_frames, space.num_outputs), np.bool_)
    longest_s = (num_frames + 1) * grid.frame_s
    for group in marked(complete):
        of_group = np.zeros(num_frames, np.bool_)
        for first_s, last_s in group.stretches:
            inside = max(first_s - start_s, 0.0), min(last_s - start_s, longest_s)
            if inside[0] < inside[1]:
                of_group[majority_slice(grid, *inside, num_frames)] = True
        cells[:, _outputs(group, space)] = of_group[:, None]
    return cells


def marked_outputs(complete: Sequence[Span], space: LabelSpace, *, start_s: float, end_s: float) -> BoolArray:
    """(K,) outputs for whose species ``[start_s, end_s)`` lies in spans; the noise output's is of no meaning."""
    outputs = np.zeros(space.num_outputs, np.bool_)
    for group in marked(complete):
        covers = any(first_s <= start_s and end_s <= last_s for first_s, last_s in group.stretches)
        outputs[_outputs(group, space)] = covers
    return outputs


def _outputs(group: Marked, space: LabelSpace) -> slice | list[int]:
    if group.species is None:
        return slice(None)
    return [output for species in group.species for output in space.outputs_of[species]]
