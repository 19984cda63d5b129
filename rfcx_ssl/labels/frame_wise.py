"""Frame labels of a crop: target and known for every frame and output."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event, Span
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.labels.completeness import marked_frames
from rfcx_ssl.labels.intervals import edge_margin_s, majority_slice
from rfcx_ssl.species.space import LabelSpace

FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


def frame_labels(
    events: Iterable[Event],
    grid: FrameGrid,
    space: LabelSpace,
    *,
    start_s: float,
    num_frames: int,
    edge_tolerance_s: float = 0.0,
    complete: Sequence[Span] = (),
) -> tuple[FloatArray, FloatArray]:
    """Three-state labels of the ``num_frames`` frames that start at ``start_s`` of a recording.

    A cell is, in this order of precedence: present where a present box touches the frame; unknown within
    ``edge_tolerance_s`` of an edge of a present box (detector templates are not call boundaries); absent where an
    absent box fills at least half of the frame, less the tolerance at its edges; unknown where a tag's window touches
    it (the call may be here, or elsewhere in the window); absent where ``complete`` spans for the species fill at least
    half of the frame; unknown otherwise. The tolerance never eats more than half of a box.

    Args:
        events: boxes of the recording, times in seconds from its start.
        grid: frames of the model.
        space: outputs of the model; K of them.
        start_s: start of the crop in seconds.
        num_frames: T.
        edge_tolerance_s: half width of the unknown margin around each edge.
        complete: stretches of the recording in which every call of their species is marked.

    Returns:
        ``target`` (T, K) in {0, 1} and ``known`` (T, K) in [0, 1]: the weight of the statement, 0 where unknown.

    Raises:
        AnnotationError: an event's species or song type has no output.
    """
    target = np.zeros((num_frames, space.num_outputs), np.float32)
    marked = marked_frames(complete, grid, space, start_s=start_s, num_frames=num_frames)
    known = marked.astype(np.float32)
    boxes = [(event, space.output_of(event.species_id, event.songtype_id)) for event in events]
    for event, output in boxes:
        if event.is_tag:
            known[grid.frame_slice(event.start_s - start_s, event.end_s - start_s, num_frames), output] = 0.0
    for event, output in boxes:
        if not event.present:
            margin = edge_margin_s(event, edge_tolerance_s)
            inner = majority_slice(grid, event.start_s + margin - start_s, event.end_s - margin - start_s, num_frames)
            np.maximum(known[inner, output], event.weight, out=known[inner, output])
    heard = [(event, output) for event, output in boxes if event.present and not event.weak]
    for event, output in heard:
        margin = edge_margin_s(event, edge_tolerance_s)
        outer = grid.frame_slice(event.start_s - margin - start_s, event.end_s + margin - start_s, num_frames)
        known[outer, output] = 0.0
    for event, output in heard:
        margin = edge_margin_s(event, edge_tolerance_s)
        inner = grid.frame_slice(event.start_s + margin - start_s, event.end_s - margin - start_s, num_frames)
        target[inner, output] = 1.0
        np.maximum(known[inner, output], event.weight, out=known[inner, output])
    if (noise := space.noise_output) is not None:
        _label_noise(target, known, noise, marked)
    return target, known


def _label_noise(target: FloatArray, known: FloatArray, noise: int, marked: BoolArray) -> None:
    """Noise is absent wherever any species is present, present where all were marked and none is unknown, else unknown."""
    species = [k for k in range(target.shape[1]) if k != noise]
    heard = target[:, species].max(axis=1) > 0
    silent = marked[:, species].all(axis=1) & (known[:, species].min(axis=1) > 0) & ~heard
    target[:, noise] = silent
    known[:, noise] = np.where(heard, (known * target)[:, species].max(axis=1), silent)
