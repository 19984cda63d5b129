"""Frozen features of every frame that somebody judged: each recording is heard once, and what was heard is kept.

The cache is ``FOLDER/<listener>/<plan>.npy``, float16, one row per frame, read by memory map. While it is made each
recording is a file of its own, so that a build that was stopped goes on where it was.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rfcx_ssl.data import Corpus
from rfcx_ssl.files import atomic_path, remove_leftovers
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.probing.listeners import Listener

CONTEXT_S = 2.0  # heard before and after judged frames
LONGEST_S = 8.0  # of judged frames that are heard at once, context left out
FLOAT16_MAX = 65504.0
Rows = NDArray[np.int64]


class Window(NamedTuple):
    """A stretch of a recording to hear at once, in frames, and the frames of it that are kept."""

    start: int
    stop: int
    kept: Rows


@dataclass(frozen=True)
class Frames:
    """All N judged frames of some recordings on one grid, recording by recording; K outputs."""

    grid: FrameGrid
    recording_ids: tuple[str, ...]
    recording: Rows  # (N,) place in ``recording_ids``
    place: Rows  # (N,) frame of the recording
    target: NDArray[np.float32]  # (N, K) in {0, 1}
    known: NDArray[np.float32]  # (N, K) weight in [0, 1], 0 where unknown

    def of(self, recording_ids: Sequence[str]) -> Rows:
        """Rows of these recordings."""
        wanted = set(recording_ids)
        mask = np.array([name in wanted for name in self.recording_ids], np.bool_)
        return np.flatnonzero(mask[self.recording])

    def windows(self, recording_id: str) -> list[Window]:
        """What to hear of a recording."""
        kept = self.place[self.recording == self.recording_ids.index(recording_id)]
        return windows(kept, round(CONTEXT_S / self.grid.frame_s), max(1, round(LONGEST_S / self.grid.frame_s)))


def judged_frames(corpus: Corpus, recording_ids: Sequence[str], grid: FrameGrid) -> Frames:
    """Every frame of these recordings in which at least one output is known."""
    labels = [corpus.frame_labels(name, grid) for name in recording_ids]
    places = [np.flatnonzero((known > 0).any(axis=1)) for _, known in labels]
    empty = np.zeros((0, corpus.space.num_outputs), np.float32)
    return Frames(
        grid,
        tuple(recording_ids),
        np.repeat(np.arange(len(places)), [len(rows) for rows in places]),
        np.concatenate([np.zeros(0, np.int64), *places]),
        np.concatenate([empty, *(target[rows] for (target, _), rows in zip(labels, places, strict=True))]),
        np.concatenate([empty, *(known[rows] for (_, known), rows in zip(labels, places, strict=True))]),
    )


def windows(kept: Rows, context: int, longest: int) -> list[Window]:
    """Sorted frames -> stretches of at most ``longest`` frames and ``context`` around them; what is near goes together.

    A window may begin before the recording: :func:`hear` cuts it off there.
    """
    if not len(kept):
        return []
    found = []
    for group in np.split(kept, np.flatnonzero(np.diff(kept) > 2 * context) + 1):
        length = int(group[-1] - group[0]) + 1
        number = -(-length // longest)
        edges = group[0] + np.arange(1, number) * length // number
        for part in np.split(group, np.searchsorted(group, edges)):
            if len(part):
                found.append(Window(max(0, int(part[0]) - context), int(part[-1]) + 1 + context, part))
    return found


def hear(listener: Listener, corpus: Corpus, frames: Frames, recording_id: str, device: str) -> NDArray[np.float16]:
    """Features (n, width) of the judged frames of one recording."""
    hop, num_samples = frames.grid.hop_samples, corpus.recording_of[recording_id].num_samples
    heard = [np.zeros((0, listener.width), np.float16)]
    for window in frames.windows(recording_id):
        stop = min(window.stop, frames.grid.num_frames(num_samples))
        waveform = corpus.read(recording_id, window.start * hop, (stop - window.start) * hop)
        with torch.inference_mode():
            rows = listener(torch.from_numpy(waveform).to(device))[torch.from_numpy(window.kept - window.start)]
        heard.append(rows.clamp(-FLOAT16_MAX, FLOAT16_MAX).cpu().numpy().astype(np.float16))
    return np.concatenate(heard)


@dataclass(frozen=True)
class Features:
    """Cached rows (N, width) of a listener, and how they are divided."""

    table: NDArray[np.float16]
    extractor_dim: int
    num_states: int

    def states(self, rows: Rows) -> Tensor:
        """(n, num_states, D) float32."""
        chosen = torch.from_numpy(np.asarray(self.table[rows, self.extractor_dim :], np.float32))
        return chosen.reshape(len(rows), self.num_states, -1)

    def extractor(self, rows: Rows) -> Tensor:
        """(n, C) float32; C is 0 for a listener without convolutions."""
        return torch.from_numpy(np.asarray(self.table[rows, : self.extractor_dim], np.float32))


def load_or_hear(
    folder: Path,
    listener: Listener,
    corpus: Corpus,
    frames: Frames,
    *,
    device: str = "cpu",
    tick: Callable[[int, int], None] = lambda done, total: None,
) -> Features:
    """The features of ``frames``, from the cache below ``folder`` as far as it goes; ``tick(done, total)`` recordings."""
    path = folder / listener.key / f"{plan_key(corpus, frames)}.npy"
    parts = path.with_suffix(".parts")
    total = len(frames.recording_ids)
    if not path.is_file():
        parts.mkdir(parents=True, exist_ok=True)
        remove_leftovers(parts)
        remove_leftovers(path.parent)
        listener.to(device)
        for number, name in enumerate(frames.recording_ids):
            part = parts / f"{number:06d}.npy"
            if not part.is_file():
                rows = hear(listener, corpus, frames, name, device)
                with atomic_path(part) as temporary, temporary.open("wb") as file:
                    np.save(file, rows)
            tick(number + 1, total)
        _join(parts, path, (len(frames.place), listener.width))
    shutil.rmtree(parts, ignore_errors=True)
    tick(total, total)
    return Features(np.load(path, mmap_mode="r"), listener.extractor_dim, listener.num_states)


def plan_key(corpus: Corpus, frames: Frames) -> str:
    """A hash of what is heard: files as they are now, grid, windows and kept frames."""
    files = [corpus.recording_of[name].path.stat() for name in frames.recording_ids]
    said = [
        [frames.grid.sample_rate_hz, frames.grid.hop_samples, CONTEXT_S, LONGEST_S],
        [[name, file.st_size, file.st_mtime_ns] for name, file in zip(frames.recording_ids, files, strict=True)],
    ]
    made = hashlib.sha256(json.dumps(said).encode())
    made.update(frames.recording.tobytes())
    made.update(frames.place.tobytes())
    return made.hexdigest()[:16]


def _join(parts: Path, path: Path, shape: tuple[int, int]) -> None:
    with atomic_path(path) as temporary:
        table = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.float16, shape=shape)
        start = 0
        for part in sorted(parts.glob("*.npy")):
            rows = np.load(part)
            table[start : start + len(rows)] = rows
            start += len(rows)
        table.flush()
