"""Every stretch of every recording with its scores: what a review chooses from, the unlikely ones included."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rfcx_ssl.audio import read_audio
from rfcx_ssl.detection.read import Stretch
from rfcx_ssl.detection.read_ahead import Opened, open_readers
from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import AudioError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.batches import Batches, RecordingStream
from rfcx_ssl.inference.scorer import TorchScorer
from rfcx_ssl.inference.settings import WindowSettings
from rfcx_ssl.models.modeling import RainforestSedModel

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

BLOCK_S = 30.0  # decoded at once
BATCH_SIZE = 8  # windows, or stretches, per forward pass


class Scored(NamedTuple):
    """Stretches of one recording: C of them, S species. Frames count from the start of the recording."""

    start: IntArray  # (C,) first frame
    stop: IntArray  # (C,) one past the last frame
    score: FloatArray  # (C, S) highest probability in the stretch
    peak_start: IntArray  # (C, S) the part around that frame with at least half of its probability, widened if short
    peak_stop: IntArray  # (C, S)


@dataclass(frozen=True)
class Pool:
    """Stretches of many recordings, with the arrays of :class:`Scored`; ``recording`` (C,) says of which one."""

    recordings: tuple[Recording, ...]
    heard_s: tuple[float, ...]  # of each recording
    grid: FrameGrid
    recording: IntArray
    stretches: Scored

    def times(self, recording: int, start: int, stop: int) -> tuple[float, float]:
        """Start and end in seconds of frames [start, stop) of a recording; the last frame ends with it."""
        hop_s = self.grid.frame_s
        return round(start * hop_s, 6), round(min(stop * hop_s, self.heard_s[recording]), 6)


def cut_stretches(frames: FloatArray, longest: int) -> Scored:
    """Frame probabilities (T, S) of a recording as equal stretches of at most ``longest`` frames, none left out.

    The peak of a stretch may reach into its neighbors. It is no longer than ``longest``, and at least half as long:
    what is shorter is too little to say that a species is absent from.
    """
    total, reach = len(frames), (longest - 1) // 2
    edges = np.linspace(0, total, -(-total // longest) + 1).round().astype(np.int32)
    parts = [_peaks(frames, int(a), int(b), reach) for a, b in pairwise(edges)]
    score, first, last = (np.stack(arrays) for arrays in zip(*parts, strict=True))
    shortest = min(total, (longest + 1) // 2)
    missing = np.maximum(shortest - (last - first), 0)
    first = np.clip(first - missing // 2, 0, total - np.maximum(last - first, shortest))
    last = np.maximum(last, first + shortest)
    return Scored(edges[:-1], edges[1:], score, first, last)


def _peaks(frames: FloatArray, start: int, stop: int, reach: int) -> tuple[FloatArray, IntArray, IntArray]:
    """Highest probability (S,) in frames [start, stop), and the run of at least half of it around that frame."""
    low, high = max(0, start - reach), min(len(frames), stop + reach)
    top = frames[start:stop].argmax(axis=0) + start - low  # (S,) frame within the part that is looked at
    score = frames[start:stop].max(axis=0)
    place = np.arange(high - low)[:, None]
    out = (frames[low:high] < score / 2) | (np.abs(place - top) > reach)
    first = np.where(out & (place < top), place, -1).max(axis=0) + 1 + low
    last = np.where(out & (place > top), place, high - low).min(axis=0) + low
    return score, first.astype(np.int32), last.astype(np.int32)


def hear_pool(
    model: RainforestSedModel,
    recordings: Sequence[Recording],
    windows: WindowSettings,
    stretch_s: float,
    tick: Callable[[], None] = lambda: None,
) -> Pool:
    """Score every stretch of the recordings that holds a signal through ``windows``; one that breaks is heard up to there.

    Raises:
        AudioError: nothing could be heard in any of them.
    """
    rate = model.grid.sample_rate_hz
    longest = max(1, round(stretch_s / model.grid.frame_s))
    found: list[Scored] = []
    owner: list[int] = []
    heard_s: list[float] = []
    batches = Batches(TorchScorer(model, "", windows), BATCH_SIZE)
    files = (Stretch(str(recording.path), 0.0, None, (rate,), BLOCK_S) for recording in recordings)
    with open_readers(1) as readers:
        for number, opened in readers.open_all(enumerate(files)):
            frames, num_samples = _all_frames(opened, batches, rate)
            if num_samples:
                stretches = cut_stretches(frames, longest)
                sounding = stretches.score.any(axis=1)  # exactly 0 is the score of what holds no signal
                found.append(Scored(*(array[sounding] for array in stretches)))  # type: ignore[arg-type] # each its own
                owner += [number] * int(sounding.sum())
            heard_s.append(num_samples / rate)
            tick()
    if not owner:
        raise AudioError(f"none of the {len(recordings)} recordings can be heard (first: {recordings[0].path})")
    joined = Scored(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))
    return Pool(tuple(recordings), tuple(heard_s), model.grid, np.array(owner, np.int32), joined)


def _all_frames(opened: Opened, batches: Batches, rate_hz: int) -> tuple[FloatArray, int]:
    """Frame probabilities (T, S) of a recording, and how many samples of it could be decoded."""
    stream, num_samples = RecordingStream(batches), 0
    for block in opened.blocks():
        num_samples += len(block[rate_hz])
        stream.push(torch.from_numpy(block[rate_hz]))
    if num_samples:
        stream.end()
        batches.flush()
    piece = stream.ready()
    return np.zeros((0, 0), np.float32) if piece is None else piece.frame.numpy(), num_samples


class Part(NamedTuple):
    """A part of a recording, in seconds from its start."""

    path: Path
    start_s: float
    end_s: float


@torch.inference_mode()
def embed(model: RainforestSedModel, parts: Sequence[Part]) -> FloatArray:
    """Embeddings (N, D) of parts of recordings: the mean over each of what the model's head sees."""
    rate = model.grid.sample_rate_hz
    found = np.zeros((len(parts), model.embedding_dim), np.float32)
    by_length: dict[int, list[int]] = {}  # parts of one length make a batch: padding would not leave them as they are
    for row, part in enumerate(parts):
        by_length.setdefault(_samples(part, rate), []).append(row)
    for rows in by_length.values():
        for start in range(0, len(rows), BATCH_SIZE):
            batch = rows[start : start + BATCH_SIZE]
            sounds = torch.stack([_read(parts[row], rate) for row in batch])
            found[batch] = model(sounds.to(model.device)).embedding.float().cpu().numpy()
    return found


def _samples(part: Part, rate_hz: int) -> int:
    return max(1, round((part.end_s - part.start_s) * rate_hz))


def _read(part: Part, rate_hz: int) -> torch.Tensor:
    start, length = round(part.start_s * rate_hz), _samples(part, rate_hz)
    samples = read_audio(part.path, start_samples=start, num_samples=length, sample_rate_hz=rate_hz, partial=True)
    return torch.from_numpy(samples)
