"""Where a recording is cut: equal pieces, in integers; and the names of the pieces."""

import hashlib
import itertools
import re
from collections.abc import Sequence

Bounds = list[tuple[int, int]]
_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


def segment_bounds(total_samples: int, max_samples: int) -> Bounds:
    """Cut ``[0, total)`` into the fewest pieces of at most ``max_samples``, whose lengths differ by at most 1.

    Equal pieces leave no short remainder: fairseq crops every batch to its shortest member.
    Returns ``[(start, num_samples), ...]``; empty for an empty recording.
    """
    if total_samples < 0 or max_samples < 1:
        raise ValueError(f"need total_samples >= 0 and max_samples >= 1, got {total_samples}, {max_samples}")
    pieces = -(-total_samples // max_samples)
    edges = [total_samples * piece // pieces for piece in range(pieces + 1)] if pieces else [0]
    return [(start, stop - start) for start, stop in itertools.pairwise(edges)]


def source_edges(bounds: Sequence[tuple[int, int]], source_hz: int, target_hz: int, frames: int) -> list[int]:
    """Source sample at which each segment ends (the last one ends the recording), for counts at the source rate."""
    ends = [(start + length) * source_hz // target_hz for start, length in bounds]
    return [*ends[:-1], frames] if ends else []


def recording_folder(recording_id: str) -> str:
    """Folder of a recording's segments below ``audio/``: a readable stem and 16 hex digits that make it unique."""
    digest = hashlib.blake2b(recording_id.encode("utf-8"), digest_size=8).hexdigest()
    stem = _UNSAFE.sub("_", recording_id.rpartition("/")[2].rpartition(".")[0])[:40].strip("_") or "recording"
    return f"{digest[:2]}/{stem}-{digest}"


def segment_name(recording_id: str, index: int) -> str:
    """Path of segment ``index`` below ``audio/``: ASCII, without spaces, safe in fairseq's TSV."""
    return f"{recording_folder(recording_id)}/{index:05d}.flac"
