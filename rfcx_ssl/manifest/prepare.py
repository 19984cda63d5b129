"""Turn one recording into segments: decode, downmix, resample and cut as a stream, in constant memory."""

import hashlib
import math
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from rfcx_ssl.audio import (
    RESAMPLE_QUALITY,
    AudioSource,
    FloatArray,
    open_audio,
    require_audio,
    resampled_samples,
    to_int16,
    to_mono,
    write_flac,
)
from rfcx_ssl.errors import AudioError, ManifestError
from rfcx_ssl.manifest.cut import recording_folder, segment_bounds, segment_name, source_edges

#: Frames decoded at a time: 5 s at 48 kHz, small enough for a 500 kHz 8-channel file, large enough to be fast.
BLOCK_FRAMES = 1 << 18
#: Largest value a format can hold; everything at or above it counts as clipped. G.711: 4032 and 8031 of 4096/8192.
FULL_SCALE = {"PCM_U8": 127 / 128, "PCM_S8": 127 / 128, "ALAW": 32256 / 32768, "ULAW": 32124 / 32768}
DEFAULT_FULL_SCALE = 32767 / 32768


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """One recording to cut; ``audio_folder`` None measures the segments without writing them."""

    recording_id: str
    path: str
    frames: int
    audio_folder: str | None
    sample_rate_hz: int
    max_samples: int
    channel: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One measured segment; samples count at the manifest's rate, levels are relative to full scale 1.0."""

    index: int
    start_samples: int
    num_samples: int
    peak: float | None = None
    rms: float | None = None  # around the mean, so that a DC offset does not hide silence
    clipped_share: float | None = None  # of the source samples, before downmix and resampling
    audio_hash: str | None = None  # of the 16-bit samples


@dataclass(frozen=True, slots=True)
class Prepared:
    """The segments of a recording, or the reason why it has none."""

    recording_id: str
    segments: tuple[Segment, ...]
    problem: str = ""
    is_gone: bool = False  # the file cannot be opened: the next build tries again


def prepare_recordings(tasks: list[PrepareTask]) -> list[Prepared]:
    """Prepare a batch of recordings, each on its own: a damaged one becomes a ``problem``, never an exception."""
    return [_prepare_or_explain(task) for task in tasks]


def prepare_recording(task: PrepareTask) -> tuple[Segment, ...]:
    """Cut one recording and write its segments.

    Raises:
        AudioError: the recording cannot be decoded to its end or holds NaN or infinite samples.
    """
    with open_audio(task.path) as source:
        if source.frames != task.frames:
            raise AudioError(
                f"{task.path}: {source.frames} samples, the header scan saw {task.frames}; it is changing"
            )
        if task.channel is not None and task.channel >= source.channels:
            raise AudioError(f"{task.path}: no channel {task.channel}, the file has {source.channels}")
        total = resampled_samples(source.frames, source.sample_rate_hz, task.sample_rate_hz)
        bounds = segment_bounds(total, task.max_samples)
        edges = source_edges(bounds, source.sample_rate_hz, task.sample_rate_hz, source.frames)
        clipped = _ClipCounter(edges, FULL_SCALE.get(source.subtype, DEFAULT_FULL_SCALE))
        pieces = _cut(_resampled(source, task, clipped), [length for _, length in bounds])
        measured = [_finish(task, index, samples) for index, samples in enumerate(pieces)]
    shares = clipped.shares()
    return tuple(
        Segment(index, *bounds[index], peak, rms, shares[index], audio_hash)
        for index, (peak, rms, audio_hash) in enumerate(measured)
    )


class _ClipCounter:
    """Counts source frames at full scale (in any channel) per segment."""

    def __init__(self, edges: list[int], full_scale: float) -> None:
        self._edges = np.asarray(edges, dtype=np.int64)
        self._lengths = np.diff(self._edges, prepend=0)
        self._counts = np.zeros(len(edges), dtype=np.int64)
        self._full_scale = np.float32(full_scale)

    def add(self, first: int, block: FloatArray, peak: float) -> None:
        if peak < self._full_scale:
            return
        hits = first + np.flatnonzero((np.abs(block) >= self._full_scale).any(axis=1))
        segments = np.searchsorted(self._edges, hits, side="right").clip(max=len(self._edges) - 1)
        self._counts += np.bincount(segments, minlength=len(self._edges))

    def shares(self) -> list[float]:
        return [int(count) / max(int(length), 1) for count, length in zip(self._counts, self._lengths, strict=True)]


def _prepare_or_explain(task: PrepareTask) -> Prepared:
    folder = Path(task.audio_folder, recording_folder(task.recording_id)) if task.audio_folder else None
    if folder and folder.exists():
        shutil.rmtree(folder)  # left by an interrupted run or by other settings
    try:
        return Prepared(task.recording_id, prepare_recording(task))
    except AudioError as error:
        if folder and folder.exists():
            shutil.rmtree(folder)
        is_gone = not os.access(task.path, os.R_OK)
        return Prepared(task.recording_id, (), str(error).removeprefix(f"{task.path}: "), is_gone)


def _decoded(source: AudioSource, channel: int | None, clipped: _ClipCounter) -> Iterator[FloatArray]:
    """Mono blocks at the rate of the file; fails on a file that ends early and on NaN."""
    block_frames = max(1, BLOCK_FRAMES // source.channels)
    done = 0
    while done < source.frames:
        block = source.read(min(block_frames, source.frames - done))
        if len(block) == 0:
            raise AudioError(f"{source.path}: truncated, {done} of {source.frames} samples can be decoded")
        where = f" near {done / source.sample_rate_hz:.1f} s"
        clipped.add(done, block, require_audio(source.path, block, where))
        done += len(block)
        yield to_mono(block, channel)


def _resampled(source: AudioSource, task: PrepareTask, clipped: _ClipCounter) -> Iterator[FloatArray]:
    """The same blocks at the target rate; a stream gives bit for bit what resampling the whole file gives."""
    blocks = _decoded(source, task.channel, clipped)
    if source.sample_rate_hz == task.sample_rate_hz:
        yield from blocks
        return
    resampler = soxr.ResampleStream(
        source.sample_rate_hz, task.sample_rate_hz, 1, dtype="float32", quality=RESAMPLE_QUALITY
    )
    for block in blocks:
        yield resampler.resample_chunk(block)
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _cut(blocks: Iterator[FloatArray], lengths: list[int]) -> Iterator[FloatArray]:
    """Re-block a stream into pieces of the given lengths; zeros stand in for a resampler's missing last sample."""
    held: list[FloatArray] = []
    held_samples = 0
    for length in lengths:
        while held_samples < length:
            block = next(blocks, None)
            if block is None:
                block = np.zeros(length - held_samples, dtype=np.float32)
            held.append(block)
            held_samples += len(block)
        joined = held[0] if len(held) == 1 else np.concatenate(held)
        yield joined[:length]
        held, held_samples = [joined[length:]], held_samples - length


def _finish(task: PrepareTask, index: int, samples: FloatArray) -> tuple[float, float, str]:
    """Write one segment and measure it: peak, RMS around the mean, hash of its 16-bit samples."""
    pcm = to_int16(samples)
    if task.audio_folder:
        _write(Path(task.audio_folder, segment_name(task.recording_id, index)), pcm, task.sample_rate_hz)
    audio_hash = hashlib.blake2b(pcm.data, digest_size=16).hexdigest()
    peak = float(max(samples.max(), -samples.min()))
    return peak, _rms(samples), audio_hash


def _rms(samples: FloatArray) -> float:
    """RMS around the mean; a large mean is taken off first, because float32 sums cannot tell it from the signal."""
    mean = samples.mean()
    power = float(np.dot(samples, samples)) / len(samples)
    if float(mean) ** 2 > 1e-3 * power:
        centerd = samples - mean
        return math.sqrt(float(np.dot(centerd, centerd)) / len(samples))
    return math.sqrt(max(power - float(mean) ** 2, 0.0))


def _write(path: Path, pcm: NDArray[np.int16], sample_rate_hz: int) -> None:
    """Write a segment; a failure (full disk) stops the build instead of blaming the recording."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_flac(path, pcm, sample_rate_hz)
    except (AudioError, OSError) as error:
        raise ManifestError(f"{error}; nothing is lost, run the same command again") from None
