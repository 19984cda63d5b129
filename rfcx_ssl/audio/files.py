"""Audio files in and out: headers, seek reads at any sample rate, atomic 16-bit FLAC.

Decoding is libsndfile's (through soundfile), resampling is soxr's HQ. Channels are averaged to mono unless one is
chosen. A crop equals the same slice of the whole resampled file (below -100 dB): the read starts on a sample where
both rates meet, with :data:`CONTEXT_SAMPLES` of context on each side for the resampling filter.
"""

import math
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from rfcx_ssl.audio.container import audio_extent, finished
from rfcx_ssl.audio.mono import FloatArray, to_mono
from rfcx_ssl.audio.mp3 import inspect_mp3, true_mp3_frames
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import atomic_path

#: Context on each side of a resampled crop, in samples of the lower rate. soxr HQ settles below -115 dB from 128 on.
CONTEXT_SAMPLES = 256
RESAMPLE_QUALITY = "HQ"

#: Sample rates that a recording may state. Outside, a few bytes would become days of samples, or the other way round.
RATES_HZ = (500, 2_000_000)
#: Peak up to which samples are audio at some scale (the integers of 32 bits are below); full scale is 1.
HIGHEST_PEAK = 1e10
#: Peak from which a recording is worth a word: no recorder that scales its samples gets there.
FAR_ABOVE_FULL_SCALE = 10.0
#: More than any codec can make of a byte: FLAC, the thriftiest, needs 12 for a block of 65,535 equal samples.
_SAMPLES_PER_BYTE = 8192
_PIECE_VALUES = 1 << 22  # decoded at once: memory goes by what is there, not by what a header states


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """Header of one audio file; ``frames`` counts samples per channel at ``sample_rate_hz``."""

    path: str
    frames: int
    sample_rate_hz: int
    channels: int
    format: str
    subtype: str
    problem: str | None = None  # why this is not all of the recording, where a part was asked for

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate_hz


def resampled_samples(frames: int, source_hz: int, target_hz: int) -> int:
    """Samples that ``frames`` samples at ``source_hz`` become at ``target_hz``: rounded, halves up (soxr's rule)."""
    return (2 * frames * target_hz + source_hz) // (2 * source_hz)


def audio_info(path: str | Path, *, partial: bool = False) -> AudioInfo:
    """Read the header of ``path``; see :func:`open_audio` for errors and ``partial``."""
    with open_audio(path, partial=partial) as source:
        return AudioInfo(
            str(path),
            source.frames,
            source.sample_rate_hz,
            source.channels,
            source.format,
            source.subtype,
            source.problem,
        )


def require_exact_time(path: str | Path) -> None:
    """Refuse an MP3 whose encoder delay is unknown: labels in seconds do not fit it.

    Raises:
        AudioError: it is such a file (whatever its name), or cannot be read.
    """
    if audio_info(path).format == "MP3" and not inspect_mp3(path).has_delay_tag:
        raise AudioError(
            f"{path}: MP3 without a LAME delay tag starts an unknown time late (about 1105 samples), so labels in "
            "seconds do not fit it; use the original recording"
        )


def read_audio(
    path: str | Path,
    *,
    start_samples: int = 0,
    num_samples: int | None = None,
    sample_rate_hz: int | None = None,
    channel: int | None = None,
    source_hz: int | None = None,
    partial: bool = False,
) -> FloatArray:
    """Decode a crop as mono float32 of shape ``(N,)`` in [-1, 1] (a resampled peak may exceed it slightly).

    Args:
        path: any file libsndfile reads.
        start_samples: first sample of the crop, counted at ``sample_rate_hz``.
        num_samples: N, counted at ``sample_rate_hz``; zeros follow where the file ends. None reads to the end.
        sample_rate_hz: rate of the result; None keeps that of the file.
        channel: the channel to take; None averages all channels.
        source_hz: the rate the file must have, where a manifest states one.
        partial: read what is left of a file that was cut off.

    Raises:
        AudioError: the file cannot be decoded or was cut off, holds NaN, infinity or what is far too large for audio, ends
            before ``start_samples`` or has another rate than ``source_hz``.
        ValueError: a negative start or length.
    """
    if start_samples < 0 or (num_samples is not None and num_samples < 0):
        raise ValueError(f"need start_samples >= 0 and num_samples >= 0, got {start_samples}, {num_samples}")
    with open_audio(path, partial=partial) as source:
        if source_hz not in (None, source.sample_rate_hz):
            raise AudioError(f"{path}: sample rate is {source.sample_rate_hz} Hz, the manifest says {source_hz} Hz")
        source_hz = source.sample_rate_hz
        target_hz = sample_rate_hz or source_hz
        total = resampled_samples(source.frames, source_hz, target_hz)
        if start_samples >= total:
            raise AudioError(f"{path}: crop starts at sample {start_samples}, the file has {total} at {target_hz} Hz")
        wanted = total - start_samples if num_samples is None else num_samples
        available = min(wanted, total - start_samples)
        if source_hz == target_hz:
            crop = _read_mono(source, start_samples, start_samples + available, channel)
        else:
            crop = _read_resampled(source, start_samples, available, target_hz, channel)
    return crop if wanted == available else np.pad(crop, (0, wanted - available))


def write_flac(path: str | Path, samples: FloatArray | NDArray[np.int16], sample_rate_hz: int) -> None:
    """Write mono ``samples`` (N,), float in [-1, 1] or int16, as 16-bit FLAC, atomically; values outside are clipped.

    The step is 1/32768 without dither, so audio that came from 16 bits is written back unchanged.
    """
    if samples.ndim != 1:
        raise ValueError(f"need samples of shape (N,), got {samples.shape}")
    pcm = samples if samples.dtype == np.int16 else to_int16(samples)
    try:
        with atomic_path(path) as temporary:
            soundfile.write(temporary, pcm, sample_rate_hz, format="FLAC", subtype="PCM_16")
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: cannot write {sample_rate_hz} Hz FLAC ({_reason(error)})") from None


def write_wav(path: str | Path, pieces: Iterable[FloatArray], sample_rate_hz: int) -> None:
    """Write mono ``pieces`` (n,), float in [-1, 1], one after the other as 16-bit WAV, atomically, as :func:`write_flac`."""
    try:
        with (
            atomic_path(path) as temporary,
            soundfile.SoundFile(temporary, "w", sample_rate_hz, 1, subtype="PCM_16", format="WAV") as file,
        ):
            for piece in pieces:
                file.write(to_int16(piece))
    except (soundfile.SoundFileError, OSError) as error:
        raise AudioError(f"{path}: cannot write {sample_rate_hz} Hz WAV ({_reason(error)})") from None


def to_int16(samples: NDArray[Any]) -> NDArray[np.int16]:
    """Nearest 16-bit values of float samples, clipped; the inverse of reading 16-bit audio as float."""
    scaled = np.rint(samples * np.float32(32768.0))
    pcm: NDArray[np.int16] = np.clip(scaled, -32768.0, 32767.0, out=scaled).astype(np.int16)
    return pcm


class AudioSource:
    """An open file: its header as attributes, and sequential reads; from :func:`open_audio`.

    ``problem`` says why a file that was opened with ``partial`` is not all of the recording.
    """

    def __init__(self, path: str | Path, handle: Any, file_bytes: int, problem: str | None = None) -> None:  # noqa: ANN401 - untyped
        self._handle = handle
        self.path = path
        self.problem = problem
        self.frames: int = handle.frames
        self.sample_rate_hz: int = handle.samplerate
        self.channels: int = handle.channels
        self.format: str = handle.format
        self.subtype: str = handle.subtype
        if not 0 <= self.frames < 2**62:
            raise AudioError(f"{path}: the header states no length")
        if self.frames > _SAMPLES_PER_BYTE * file_bytes:
            raise AudioError(f"{path}: its header states {self.frames} samples, more than {file_bytes} bytes can hold")
        if not RATES_HZ[0] <= self.sample_rate_hz <= RATES_HZ[1]:
            raise AudioError(
                f"{path}: sample rate {self.sample_rate_hz} Hz is outside {RATES_HZ[0]} to {RATES_HZ[1]} Hz"
            )
        if self.format == "MP3":
            self.frames = true_mp3_frames(path, self.frames)

    def seek(self, frame: int) -> None:
        """Go to a sample of the file."""
        self._handle.seek(frame)

    def read(self, frames: int) -> FloatArray:
        """The next samples as float32 of shape (n, channels); n < ``frames`` only where decoding ends."""
        samples: FloatArray = self._handle.read(frames, dtype="float32", always_2d=True)
        return samples


@contextmanager
def open_audio(path: str | Path, *, partial: bool = False) -> Iterator[AudioSource]:
    """Open ``path`` for reading; every failure to open or decode becomes an :class:`AudioError` that names it.

    So does a file that is shorter than its header states; with ``partial`` what is left of it may be read.
    """
    try:
        with _regular(path).open("rb", buffering=0) as file:
            extent = audio_extent(file)
            problem = f"{path}: {extent.problem}" if extent and extent.problem else None
            if problem and not partial:
                raise AudioError(problem)
            view = finished(file, extent)
            # by descriptor: the name's extension must not decide the format, and libsndfile reads without call-backs
            with soundfile.SoundFile(file.fileno() if view is file else view, closefd=False) as handle:
                yield AudioSource(path, handle, os.fstat(file.fileno()).st_size, problem)
    except (soundfile.SoundFileError, OSError, EOFError) as error:
        raise AudioError(f"{path}: cannot be read as audio ({_reason(error)})") from None


def _regular(path: str | Path) -> Path:
    """The path of a file that can be opened without waiting for somebody to write into it."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - the path may be a string from a manifest
    except ValueError as error:  # a zero byte in the name
        raise AudioError(f"{str(path)!r}: cannot be read as audio ({error})") from None
    if not stat.S_ISREG(mode):
        raise AudioError(f"{path}: is not a regular file")
    return Path(path)


def _read_mono(source: AudioSource, start: int, stop: int, channel: int | None) -> FloatArray:
    """Samples [start, stop) of an open file at its own rate, mono; exactly that many or an AudioError."""
    if channel is not None and not 0 <= channel < source.channels:
        raise AudioError(f"{source.path}: no channel {channel}, the file has {source.channels}")
    if start:
        source.seek(start)
    pieces: list[FloatArray] = []
    done, most = start, max(1, _PIECE_VALUES // source.channels)
    while done < stop:
        samples = source.read(min(stop - done, most))
        if not len(samples):
            raise AudioError(f"{source.path}: truncated, {done} of {source.frames} samples can be decoded")
        pieces.append(to_mono(samples, channel))
        done += len(samples)
    mono = pieces[0] if len(pieces) == 1 else np.concatenate([*pieces, np.zeros(0, np.float32)])
    require_audio(source.path, mono)
    return mono


def require_audio(path: str | Path, samples: FloatArray, where: str = "") -> float:
    """The highest magnitude of samples of any shape; ``where`` they are ends a message.

    Raises:
        AudioError: they hold NaN or infinity, or what is far too large for audio at any scale.
    """
    peak = float(max(samples.max(), -samples.min())) if samples.size else 0.0
    if not math.isfinite(peak):
        raise AudioError(f"{path}: holds NaN or infinite samples{where}")
    if peak > HIGHEST_PEAK:
        raise AudioError(f"{path}: holds samples of {peak:.3g}{where}, where full scale is 1: this is no audio")
    return peak


def _read_resampled(
    source: AudioSource,
    start: int,
    length: int,
    target_hz: int,
    channel: int | None,
) -> FloatArray:
    """``length`` samples from ``start``, both at ``target_hz``, equal to that slice of the whole resampled file."""
    source_hz = source.sample_rate_hz
    common = math.gcd(source_hz, target_hz)
    source_block, target_block = source_hz // common, target_hz // common  # both rates meet every such block
    context = -(-CONTEXT_SAMPLES * source_hz // min(source_hz, target_hz))
    first_block = max(0, start // target_block - -(-context // source_block))
    first = first_block * source_block
    last = min(source.frames, -(-(start + length) * source_hz // target_hz) + context)
    mono = _read_mono(source, first, last, channel)
    if len(mono) and mono.min() == mono.max():  # a constant stays one: at the ends of a file it would click
        return np.full(length, mono[0])
    resampled: FloatArray = soxr.resample(mono, source_hz, target_hz, quality=RESAMPLE_QUALITY)
    skip = start - first_block * target_block
    return resampled[skip : skip + length].copy()


def _reason(error: Exception) -> str:
    """The cause in a few words, without the path or libsndfile's preamble."""
    text = str(getattr(error, "error_string", None) or getattr(error, "strerror", None) or error)
    return text.strip().rstrip(".") or type(error).__name__
