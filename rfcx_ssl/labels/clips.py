"""Clip labels of a crop: target and known for every output, by the coverage rule."""

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.annotations import Event, Span
from rfcx_ssl.annotations.spans import uncovered_s
from rfcx_ssl.labels.completeness import marked_outputs
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
    complete: Sequence[Span] = (),
    absent: ClipAbsent = "crop",
) -> tuple[FloatArray, FloatArray]:
    """Three-state labels of the crop ``[start_s, end_s)`` as a whole.

    Present: at least ``coverage`` of a present box lies inside (of a box longer than the crop: the crop is filled to
    at least ``coverage``), or some of a tag's window does, with the weight of :func:`tag_weight`. A smaller sliver of a
    present box leaves the output unknown. Absent: nothing of a present box or tag inside, and either ``complete`` spans
    cover the crop or absent boxes say so, by ``absent``: ``"crop"`` wants them to cover the whole crop (an absent box
    says nothing outside itself); ``"box"`` is satisfied with ``coverage`` of one absent box, the convention of most
    competition solutions. Unknown otherwise.

    Args:
        events: all boxes and tags of the recording, times in seconds from its start.
        space: outputs of the model; K of them.
        start_s: start of the crop in seconds.
        end_s: its end.
        coverage: share of a box that decides about the crop.
        complete: stretches of the recording in which every call of their species is marked.
        absent: what absent boxes must do.

    Returns:
        ``clip_target`` (K,) in {0, 1} and ``clip_known`` (K,) in [0, 1], 0 where unknown.
    """
    target = np.zeros(space.num_outputs, np.float32)
    marked = marked_outputs(complete, space, start_s=start_s, end_s=end_s)
    known = marked.astype(np.float32)
    by_output: dict[int, list[Event]] = {}
    for event in events:
        by_output.setdefault(space.output_of(event.species_id, event.songtype_id), []).append(event)
    heard: list[float] = []  # weights of all calls that may reach into the crop
    for output, own in by_output.items():
        inside = [event for event in own if overlap_s(event, start_s, end_s) > 0]
        boxes = [event for event in inside if event.present and not event.weak]
        tags = _tag_weights(own, start_s, end_s)
        heard += [event.weight for event in boxes] + tags
        covered = [event.weight for event in boxes if share_inside(event, start_s, end_s) >= coverage] + tags
        if covered:
            target[output], known[output] = 1.0, max(covered)
        elif boxes:
            known[output] = 0.0
        elif not marked[output]:
            rejected = [event for event in inside if not event.present]
            known[output] = _absent_weight(rejected, start_s, end_s, coverage, absent)
    if (noise := space.noise_output) is not None:
        all_marked = bool(np.delete(marked, noise).all())
        target[noise] = float(all_marked and not heard)
        known[noise] = max(heard) if heard else float(all_marked)
    return target, known


def tag_weight(tag: Event, absent: Sequence[Event], start_s: float, end_s: float) -> float:
    """Weight of a tag in the crop ``[start_s, end_s)``: its own times the share of its window that lies inside.

    That is the chance that the crop holds a call placed uniformly in the window, where no box of ``absent`` rules it
    out. The weights of crops that divide the window among them sum to the tag's. It is 0 where all is ruled out.
    """
    open_s = uncovered_s(absent, tag.start_s, tag.end_s)
    inside_s = uncovered_s(absent, max(tag.start_s, start_s), min(tag.end_s, end_s))
    return tag.weight * (inside_s / open_s) if open_s > 0 else 0.0


def heard_outputs(events: Iterable[Event], space: LabelSpace, *, start_s: float, end_s: float) -> NDArray[np.bool_]:
    """(K,) outputs of which a present box, however little of it, lies in the crop ``[start_s, end_s)``.

    Tags do not count: one that may be heard in the crop gives it a known label.
    """
    heard = np.zeros(space.num_outputs, np.bool_)
    for event in events:
        if event.present and not event.weak and overlap_s(event, start_s, end_s) > 0:
            heard[space.output_of(event.species_id, event.songtype_id)] = True
    return heard


def _tag_weights(events: Sequence[Event], start_s: float, end_s: float) -> list[float]:
    """Weights above 0 of the tags of one output."""
    tags = [event for event in events if event.is_tag]
    absent = [event for event in events if not event.present] if tags else []
    return [weight for tag in tags if (weight := tag_weight(tag, absent, start_s, end_s)) > 0]


def _absent_weight(
    rejected: Sequence[Event], start_s: float, end_s: float, coverage: float, absent: ClipAbsent
) -> float:
    """How sure it is, by absent boxes that overlap the crop, that it holds no call; 0 where they do not say so."""
    if absent == "box":
        weights = [event.weight for event in rejected if share_inside(event, start_s, end_s) >= coverage]
        return max(weights, default=0.0)
    filled = rejected and uncovered_s(rejected, start_s, end_s) == 0
    return min(event.weight for event in rejected) if filled else 0.0
