"""What a reader process does: open a recording, decode a block of it at every rate that is wanted. Loads no torch."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rfcx_ssl.audio import audio_info, open_audio, read_audio, resampled_samples
from rfcx_ssl.audio.mono import loudest_if_cancelled
from rfcx_ssl.errors import AudioError, first_line
from rfcx_ssl.manifest.metadata import read_metadata

FloatArray = NDArray[np.float32]
_MAY_BE_CANCELLED_RMS = 0.01  # of a mix; only where it is quiet are the channels looked at, one by one
_LOOK_S = 10.0  # from the start, for channels that cancel
Samples = dict[int, FloatArray]  # (n,) by sample rate, all of the same stretch of time


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a local file that is listened to, and how: whole blocks of ``block_s`` at each of ``rates_hz``."""

    path: str
    start_s: float
    end_s: float | None
    rates_hz: tuple[int, ...]
    block_s: float
    problem: str | None = None  # why there is no such file, where that is known already
    unreachable: bool = False  # ... and another time there may be


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says before it is decoded; ``problem`` with ``num_samples`` 0 says why it cannot be heard."""

    sample_rate_hz: int = 0
    num_samples: tuple[int, ...] = ()  # of the stretch, at each rate
    recorded_at: str | None = None  # ISO 8601
    problem: str | None = None
    unreachable: bool = False  # the file is not there, or its disk does not answer: another time it may
    channel: int | None = None  # the one to hear; None: the average of all
    warnings: tuple[str, ...] = ()

    def num_blocks(self, stretch: Stretch) -> int:
        """How many blocks the stretch has."""
        if not self.num_samples:
            return 0
        return -(-self.num_samples[0] // _block_samples(stretch, stretch.rates_hz[0]))


def read_header(stretch: Stretch) -> Header:
    """Open the file; never raises what a file can cause."""
    if stretch.problem is not None:
        return Header(problem=stretch.problem, unreachable=stretch.unreachable)
    try:
        os.stat(stretch.path)  # noqa: PTH116 - a name of any bytes
    except OSError as error:
        return Header(problem=f"{stretch.path}: {error.strerror}", unreachable=True)
    try:
        info = audio_info(stretch.path, partial=True)
    except AudioError as error:
        return Header(problem=str(error))
    samples = []
    for rate in stretch.rates_hz:
        total = resampled_samples(info.frames, info.sample_rate_hz, rate)
        end = total if stretch.end_s is None else min(total, round(stretch.end_s * rate))
        samples.append(max(end - round(stretch.start_s * rate), 0))
    problem = info.problem
    if not all(samples):
        samples, problem = [], problem or _nothing_in(stretch, info.duration_s)
    started = read_metadata(stretch.path).start_time
    return Header(info.sample_rate_hz, tuple(samples), started, problem)


def _nothing_in(stretch: Stretch, duration_s: float) -> str:
    if stretch.start_s:
        return f"{stretch.path}: nothing to hear from {stretch.start_s:g} s on, the file has {duration_s:.3f} s"
    return f"{stretch.path}: has no samples"


def read_first(stretch: Stretch) -> tuple[Header, list[Samples], str | None]:
    """The header and the first block: one task, for most recordings of a survey are short."""
    try:
        return _read_first(stretch)
    except Exception as error:  # noqa: BLE001 - whatever a file can cause is its own problem, never the run's
        return Header(problem=_unexpected(stretch, error)), [], None


def _read_first(stretch: Stretch) -> tuple[Header, list[Samples], str | None]:
    header = read_header(stretch)
    if not header.num_samples:
        return header, [], None
    pieces, problem = read_block(stretch, header, 0)
    if pieces and _rms(pieces[0]) < _MAY_BE_CANCELLED_RMS and (channel := _channel_to_hear(stretch)) is not None:
        warning = f"channels cancel each other out when they are mixed: channel {channel + 1} alone was heard"
        header = replace(header, channel=channel, warnings=(*header.warnings, warning))
        pieces, problem = read_block(stretch, header, 0)
    return header, pieces, problem


def _rms(block: Samples) -> float:
    samples = next(iter(block.values()))
    return float(np.std(samples, dtype=np.float64))


def _channel_to_hear(stretch: Stretch) -> int | None:
    """The loudest channel of a file whose channels cancel in the first block, where one is to be chosen."""
    try:
        with open_audio(stretch.path, partial=True) as source:
            if source.channels == 1:
                return None
            source.seek(round(stretch.start_s * source.sample_rate_hz))
            samples = source.read(round(min(stretch.block_s, _LOOK_S) * source.sample_rate_hz))
    except AudioError:
        return None
    return loudest_if_cancelled(samples) if len(samples) else None


def read_block(stretch: Stretch, header: Header, number: int) -> tuple[list[Samples], str | None]:
    """Block ``number`` in pieces, mostly one; where it cannot be decoded whole, second by second up to the damage.

    Returns:
        The pieces, and why there are no more of them than these, if so.
    """
    try:
        return _read_block(stretch, header, number)
    except Exception as error:  # noqa: BLE001 - as above
        return [], _unexpected(stretch, error)


def _unexpected(stretch: Stretch, error: Exception) -> str:
    return f"{stretch.path}: {type(error).__name__}: {first_line(error)}"


def _read_block(stretch: Stretch, header: Header, number: int) -> tuple[list[Samples], str | None]:
    first = [number * _block_samples(stretch, rate) for rate in stretch.rates_hz]
    count = [
        min(_block_samples(stretch, rate), total - start)
        for rate, total, start in zip(stretch.rates_hz, header.num_samples, first, strict=True)
    ]
    try:
        return [_read(stretch, first, count, header.channel)], None
    except AudioError:
        return _read_by_seconds(stretch, first, count, header.channel)


def _read_by_seconds(
    stretch: Stretch, first: Sequence[int], count: Sequence[int], channel: int | None
) -> tuple[list[Samples], str | None]:
    pieces: list[Samples] = []
    rates = stretch.rates_hz
    while all(count):
        step = [min(rate, left) for rate, left in zip(rates, count, strict=True)]
        try:
            pieces.append(_read(stretch, first, step, channel))
        except AudioError as error:
            return pieces, str(error)
        first = [start + taken for start, taken in zip(first, step, strict=True)]
        count = [left - taken for left, taken in zip(count, step, strict=True)]
    return pieces, None


def _read(stretch: Stretch, first: Sequence[int], count: Sequence[int], channel: int | None) -> Samples:
    """Samples [first, first + count) of the stretch at each rate."""
    return {
        rate: np.ascontiguousarray(
            read_audio(
                stretch.path,
                start_samples=round(stretch.start_s * rate) + start,
                num_samples=length,
                sample_rate_hz=rate,
                channel=channel,
                partial=True,
            )
        )
        for rate, start, length in zip(stretch.rates_hz, first, count, strict=True)
    }


def _block_samples(stretch: Stretch, rate_hz: int) -> int:
    return round(stretch.block_s * rate_hz)
