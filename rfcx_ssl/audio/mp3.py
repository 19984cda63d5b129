"""MP3: is its length true, and is its encoder delay known?

An MP3 starts late: encoder and decoder together delay it (1105 samples for LAME), and its last frame is padded. LAME
writes both numbers into the Xing/Info frame at the start; libsndfile (mpg123) then returns exactly the samples that
were encoded, by seek too (measured: delay 0 samples, length equal, at 16 to 48 kHz). Without that frame the delay is
unknown, and mpg123 guesses the length from the first bit rate: a variable bit rate file is silently cut short. Such a
file is refused when the guess is wrong, and is never a place for labels in seconds.

mpg123 also ends, without a word, where the frames do, though more follow behind junk or a tag in the middle, and where
the first of two joined files says that it ends. The frames are walked, and such a file is refused.
"""

import functools
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.errors import AudioError

# ISO 11172-3 table of bit rates in kbit/s for layer III, and ISO 13818-3 for the lower sampling frequencies
_BIT_RATES_V1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_BIT_RATES_V2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_LOST_SAMPLES = 4 * 1152  # what a guessed length may miss at the end: a tenth of a second
_DELAY_OFFSET = 21  # bytes from LAME's encoder name to the 12-bit delay and padding
_SPARE_FRAMES = 2  # that encoders count differently: the Xing frame itself, and a last one
_SURE_FRAMES = 3  # of one kind, each where the last one ends: chance does not make that


@dataclass(frozen=True, slots=True)
class Mp3Stream:
    """What walking the frame headers of an MP3 finds; ``samples`` includes delay and padding.

    ``problem`` says why not all of the file is one stream.
    """

    samples: int
    has_length_tag: bool
    has_delay_tag: bool
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class _FrameHeader:
    size_bytes: int
    samples: int
    side_info_bytes: int
    kind: tuple[int, int]  # version and sample rate, which are those of all frames of a stream


def true_mp3_frames(path: str | Path, stated_frames: int) -> int:
    """Samples that can be decoded from an MP3 of which libsndfile states ``stated_frames``.

    Raises:
        AudioError: the file is longer than libsndfile would decode.
    """
    stream = inspect_mp3(path)
    if stream.problem is not None:
        raise AudioError(f"{path}: {stream.problem}; convert it first (ffmpeg -i FILE.mp3 FILE.flac)")
    if stream.has_length_tag or not stream.samples:
        return stated_frames
    if stated_frames < stream.samples - _LOST_SAMPLES:
        raise AudioError(
            f"{path}: MP3 without a Xing/Info frame: {stated_frames} of about {stream.samples} samples would be "
            "decoded; convert it first (ffmpeg -i FILE.mp3 FILE.flac)"
        )
    return min(stated_frames, stream.samples)


def inspect_mp3(path: str | Path) -> Mp3Stream:
    """Walk the MPEG frames of ``path`` without decoding."""
    status = os.stat(path)  # noqa: PTH116 - the path may be a string from a manifest
    return _inspect(str(path), status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _inspect(path: str, size_bytes: int, _mtime_ns: int) -> Mp3Stream:
    if size_bytes == 0:
        return Mp3Stream(0, False, False)
    with Path(path).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _walk(data)


def _walk(data: mmap.mmap) -> Mp3Stream:
    start = _skip_id3(data)
    header = _frame_at(data, start)
    if header is None:
        return Mp3Stream(0, False, False)
    samples, end = _count_samples(data, start)
    tag = start + 4 + header.side_info_bytes
    is_tagged = data[tag : tag + 4] in (b"Xing", b"Info")
    flags = int.from_bytes(data[tag + 7 : tag + 8]) if is_tagged else 0
    problem = None
    if flags & 1:
        stated = int.from_bytes(data[tag + 8 : tag + 12]) * header.samples
        if samples > stated + _SPARE_FRAMES * header.samples:
            problem = f"MP3 whose Xing/Info frame states {stated} samples, but about {samples} follow it"
    if problem is None and _goes_on(data, end, header.kind):
        problem = f"MP3 with frames behind something else: joined files or damage after about {samples} samples"
    if is_tagged:
        return Mp3Stream(samples, bool(flags & 1), _states_delay(data, tag, flags), problem)
    return Mp3Stream(samples, data[start + 36 : start + 40] == b"VBRI", False, problem)


def _states_delay(data: mmap.mmap, tag: int, flags: int) -> bool:
    name = tag + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 2) + 100 * bool(flags & 4) + 4 * bool(flags & 8)
    delay_and_padding = data[name + _DELAY_OFFSET : name + _DELAY_OFFSET + 3]
    return data[name : name + 4].isalnum() and delay_and_padding not in (b"", b"\0\0\0")


def _count_samples(data: mmap.mmap, position: int) -> tuple[int, int]:
    """Samples of the frames that follow each other from ``position`` on, and where these end."""
    samples = 0
    while header := _frame_at(data, position):
        samples += header.samples
        position += header.size_bytes
    return samples, position


def _goes_on(data: mmap.mmap, position: int, kind: tuple[int, int]) -> bool:
    """Whether frames of a kind come anywhere after ``position``."""
    while (position := data.find(b"\xff", position)) >= 0:
        place, found = position, 0
        while found < _SURE_FRAMES and (header := _frame_at(data, place)) and header.kind == kind:
            place, found = place + header.size_bytes, found + 1
        if found == _SURE_FRAMES:
            return True
        position += 1
    return False


def _skip_id3(data: mmap.mmap) -> int:
    """Offset of the first MPEG frame: after ID3v2 tags and zero padding."""
    position = 0
    while data[position : position + 3] == b"ID3" and len(data) >= position + 10:
        size = data[position + 6 : position + 10]
        position += 10 + (size[0] << 21 | size[1] << 14 | size[2] << 7 | size[3])
    while data[position : position + 1] == b"\0":
        position += 1
    return position


def _frame_at(data: mmap.mmap, position: int) -> _FrameHeader | None:
    """The layer III frame header at ``position``, or None where there is none."""
    word = int.from_bytes(data[position : position + 4], "big")
    version, layer = word >> 19 & 3, word >> 17 & 3
    rate_index, bit_rate_index = word >> 10 & 3, word >> 12 & 15
    valid = word >> 21 == 0x7FF and layer == 1 and version != 1
    if not valid or rate_index == 3 or bit_rate_index in (0, 15):
        return None
    first_version = version == 3
    bit_rate = (_BIT_RATES_V1 if first_version else _BIT_RATES_V2)[bit_rate_index] * 1000
    samples = 1152 if first_version else 576
    size = samples // 8 * bit_rate // _RATES_HZ[version][rate_index] + (word >> 9 & 1)
    mono = word >> 6 & 3 == 3
    side_info = (17 if mono else 32) if first_version else (9 if mono else 17)
    return _FrameHeader(size, samples, side_info, (version, rate_index))
