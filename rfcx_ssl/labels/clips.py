"""Clip labels of a crop: target and known for every output, by the coverage rule."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event
from rfcx_ssl.labels.intervals import overlap_s, share_inside
from rfcx_ssl.species.space import LabelSpace

FloatArray = NDArray[np.float32]
ClipAbsent = Literal["crop", "box"]


def clip_labels(
    events: Iterable[Event],
    space: LabelSpace,
    *,
    start_s: float,
    end_s: float,
    coverage: float = 0.5,
    complete: bool = False,
    absent: ClipAbsent = "crop",
) -> tuple[FloatArray, FloatArray]:
    """Three-state labels of the crop ``[start_s, end_s)`` as a whole.

    Present: at least ``coverage`` of a present box lies inside (of a box longer than the crop: the crop is filled to
    at least ``coverage``). A smaller sliver of a present box leaves the output unknown. Absent: nothing of a present
    box inside, and either the recording is ``complete`` or absent boxes say so, by ``absent``: ``"crop"`` wants them
    to cover the whole crop (an absent box says nothing outside itself); ``"box"`` is satisfied with ``coverage`` of
    one absent box, the convention of most competition solutions. Unknown otherwise.

    Returns:
        ``clip_target`` (K,) in {0, 1} and ``clip_known`` (K,) in [0, 1], 0 where unknown.
    """
    target = np.zeros(space.num_outputs, np.float32)
    known = np.zeros(space.num_outputs, np.float32)
    inside: dict[int, list[Event]] = {}
    for event in events:
        if overlap_s(event, start_s, end_s) > 0:
            inside.setdefault(space.output_of(event.species_id, event.songtype_id), []).append(event)
    for output in range(space.num_outputs):
        if output != space.noise_output:
            boxes = inside.get(output, [])
            target[output], known[output] = _state(boxes, start_s, end_s, coverage, complete, absent)
    if (noise := space.noise_output) is not None:
        heard = [event.weight for boxes in inside.values() for event in boxes if event.present]
        target[noise] = float(complete and not heard)
        known[noise] = max(heard) if heard else float(complete)
    return target, known


def heard_outputs(events: Iterable[Event], space: LabelSpace, *, start_s: float, end_s: float) -> NDArray[np.bool_]:
    """(K,) outputs of which a present box, however little of it, lies in the crop ``[start_s, end_s)``."""
    heard = np.zeros(space.num_outputs, np.bool_)
    for event in events:
        if event.present and overlap_s(event, start_s, end_s) > 0:
            heard[space.output_of(event.species_id, event.songtype_id)] = True
    return heard


def _state(
    boxes: Sequence[Event], start_s: float, end_s: float, coverage: float, complete: bool, absent: ClipAbsent
) -> tuple[float, float]:
    """Target and known of one output from its boxes that overlap the crop."""
    present = [event for event in boxes if event.present]
    covered = [event.weight for event in present if share_inside(event, start_s, end_s) >= coverage]
    if covered:
        return 1.0, max(covered)
    if present:
        return 0.0, 0.0
    if complete:
        return 0.0, 1.0
    rejected = [event for event in boxes if not event.present]
    if absent == "box":
        weights = [event.weight for event in rejected if share_inside(event, start_s, end_s) >= coverage]
        return 0.0, max(weights, default=0.0)
    filled = _covers(rejected, start_s, end_s)
    return 0.0, min(event.weight for event in rejected) if filled else 0.0


def _covers(boxes: Sequence[Event], start_s: float, end_s: float) -> bool:
    """Whether the union of the boxes covers ``[start_s, end_s)``."""
    reached = start_s
    for event in sorted(boxes, key=lambda box: box.start_s):
        if event.start_s > reached:
            return False
        reached = max(reached, event.end_s)
    return reached >= end_s
