"""Interval arithmetic of label boxes, in seconds relative to a crop and in whole samples and frames."""

from rfcx_ssl.annotations import Event
from rfcx_ssl.frames import FrameGrid, seconds_to_samples


def edge_margin_s(event: Event, edge_tolerance_s: float) -> float:
    """Half width of the unknown margin at each edge of a box: at most a quarter of the box, so half of it stays."""
    return min(edge_tolerance_s, event.duration_s / 4)


def majority_slice(grid: FrameGrid, start_s: float, end_s: float, num_frames: int) -> slice:
    """Frames with at least half of their samples inside ``[start_s, end_s)``, clipped to ``[0, num_frames)``.

    A box shorter than half a frame has none.
    """
    hop = grid.hop_samples
    start = seconds_to_samples(start_s, grid.sample_rate_hz)
    stop = seconds_to_samples(end_s, grid.sample_rate_hz)
    first = -((hop - 2 * start) // (2 * hop))  # ceil((start - hop / 2) / hop)
    last = (2 * stop + hop) // (2 * hop)  # floor((stop + hop / 2) / hop)
    if 2 * (stop - start) < hop:
        last = first
    first = min(max(first, 0), num_frames)
    return slice(first, min(max(last, first), num_frames))


def overlap_s(event: Event, start_s: float, end_s: float) -> float:
    """Seconds of the box that lie inside ``[start_s, end_s)``."""
    return max(0.0, min(event.end_s, end_s) - max(event.start_s, start_s))


def share_inside(event: Event, start_s: float, end_s: float) -> float:
    """Share of the call inside ``[start_s, end_s)``; of a call longer than that, the share of the stretch it fills."""
    return overlap_s(event, start_s, end_s) / min(event.duration_s, end_s - start_s)
