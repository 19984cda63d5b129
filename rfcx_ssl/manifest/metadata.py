"""Site, recorder and start time of a recording, from its name and what the recorder wrote into the WAV header.

=============  ==================================================  =====================================
source         example                                             gives
=============  ==================================================  =====================================
AudioMoth      ``20210301_050000.WAV``, ``5E1A2B3C.WAV``           time (UTC; older firmware: hex Unix time)
AudioMoth INFO ``Recorded at 05:00:00 01/03/2021 (UTC+2) by        time with offset, recorder (also from IART)
               AudioMoth 24F319055FDF2F5B ...``
Song Meter     ``SITE1_20210301_050000.wav``                       site (the prefix), local time
Song Meter     ``wamd`` chunk                                      time, serial as recorder, prefix as site
GUANO          ``Timestamp: 2021-03-01T05:00:00-05:00`` ...        time, ``Serial`` as recorder
Arbimon        ``Colonia-2018-06-01_13-30.flac``                   site, local time
=============  ==================================================  =====================================

Times are ISO 8601; without an offset the recorder did not say which zone it was in.
"""

import io
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

from rfcx_ssl.audio.container import wave_chunks
from rfcx_ssl.audio.find import printable_name

_AUDIOMOTH = re.compile(r"(?P<time>\d{8}_\d{6})T?")
_AUDIOMOTH_HEX = re.compile(r"[45-6][0-9A-F]{7}")
_SONG_METER = re.compile(r"(?P<site>.+?)_(?:[-+]?[01]_)?(?P<time>\d{8}_\d{6})(?:_\d{3})?")
_ARBIMON = re.compile(r"(?P<site>.+?)[-_](?P<time>\d{4}-\d\d-\d\d_\d\d-\d\d(?:-\d\d)?)")
_COMMENT_TIME = re.compile(
    r"Recorded at (?P<time>\d\d:\d\d:\d\d \d\d/\d\d/\d{4}) "
    r"\(UTC(?:(?P<sign>[+-])(?P<hours>\d{1,2})(?::(?P<minutes>\d\d))?)?\)"
)
_AUDIOMOTH_ID = re.compile(r"AudioMoth ([0-9A-F]{16})")
_WAMD_SERIAL, _WAMD_PREFIX, _WAMD_TIME = 2, 4, 5  # Wildlife Acoustics' field numbers
_YEARS = 1970, 2200
_CHUNK_BYTES = 1 << 16  # enough of any text chunk


@dataclass(frozen=True, slots=True)
class RecordingMetadata:
    """What is known about a recording; None where neither name nor header says."""

    site: str | None = None
    recorder: str | None = None
    start_time: str | None = None


def read_metadata(path: str | Path) -> RecordingMetadata:
    """Metadata of a recording: the header wins over the name. Never raises: a damaged chunk says nothing."""
    path = Path(path)
    named = parse_name(path.name)
    written = _read_wav(path)
    return RecordingMetadata(
        written.site or named.site, written.recorder or named.recorder, written.start_time or named.start_time
    )


def parse_name(name: str) -> RecordingMetadata:
    """Metadata from a file name alone."""
    stem = name.rpartition(".")[0] or name
    if match := _AUDIOMOTH.fullmatch(stem):
        return RecordingMetadata(start_time=_time(match["time"], "%Y%m%d_%H%M%S", UTC))
    if _AUDIOMOTH_HEX.fullmatch(stem):
        return RecordingMetadata(start_time=datetime.fromtimestamp(int(stem, 16), UTC).isoformat())
    if match := _SONG_METER.fullmatch(stem):
        time = _time(match["time"], "%Y%m%d_%H%M%S")
        return RecordingMetadata(match["site"], None, time) if time else RecordingMetadata()
    if match := _ARBIMON.fullmatch(stem):
        layout = "%Y-%m-%d_%H-%M-%S" if match["time"].count("-") == 4 else "%Y-%m-%d_%H-%M"
        time = _time(match["time"], layout)
        return RecordingMetadata(match["site"], None, time) if time else RecordingMetadata()
    return RecordingMetadata()


def parse_audiomoth(comment: str, artist: str = "") -> RecordingMetadata:
    """Metadata from AudioMoth's comment (LIST INFO ICMT) and artist (IART)."""
    serial = _AUDIOMOTH_ID.search(f"{comment} {artist}")
    match = _COMMENT_TIME.search(comment)
    zone = _zone(match) if match else None
    time = _time(match["time"], "%H:%M:%S %d/%m/%Y", zone) if match and zone else None
    return RecordingMetadata(None, serial[1] if serial else None, time)


def parse_wamd(data: bytes) -> RecordingMetadata:
    """Metadata from Wildlife Acoustics' ``wamd`` chunk: records of uint16 field, uint32 length, value."""
    fields: dict[int, str] = {}
    position = 0
    while position + 6 <= len(data):
        field, size = struct.unpack_from("<HI", data, position)
        fields[field] = data[position + 6 : position + 6 + size].decode("utf-8", "replace").strip("\0 ")
        position += 6 + size
    site, recorder = (printable_name(fields.get(field, "")) or None for field in (_WAMD_PREFIX, _WAMD_SERIAL))
    return RecordingMetadata(site, recorder, _iso(fields.get(_WAMD_TIME, "")))


def parse_guano(text: str) -> RecordingMetadata:
    """Metadata from a GUANO chunk (``Key: value`` lines)."""
    pairs = (line.partition(":") for line in text.splitlines())
    fields = {key.strip(): value.strip() for key, _, value in pairs}
    return RecordingMetadata(None, printable_name(fields.get("Serial", "")) or None, _iso(fields.get("Timestamp", "")))


def add_seconds(start_time: str | None, seconds: float) -> str | None:
    """An ISO time ``seconds`` later, to the millisecond; None where there is no such time (after the year 9999)."""
    if start_time is None:
        return None
    try:
        return (datetime.fromisoformat(start_time) + timedelta(milliseconds=round(seconds * 1000))).isoformat()
    except OverflowError:
        return None


def _zone(match: re.Match[str]) -> timezone | None:
    offset = timedelta(hours=int(match["hours"] or 0), minutes=int(match["minutes"] or 0))
    try:
        return timezone(-offset if match["sign"] == "-" else offset)
    except ValueError:  # a day and more
        return None


def _time(text: str, layout: str, zone: timezone | None = None) -> str | None:
    try:
        return _plausible(datetime.strptime(text, layout).replace(tzinfo=zone))
    except ValueError:
        return None


def _iso(text: str) -> str | None:
    try:
        return _plausible(datetime.fromisoformat(text))
    except ValueError:
        return None


def _plausible(moment: datetime) -> str | None:
    """A time that a recorder can have seen; a clock that says 9999 was never set."""
    return moment.isoformat() if _YEARS[0] <= moment.year <= _YEARS[1] else None


def _read_wav(path: Path) -> RecordingMetadata:
    try:
        with path.open("rb", buffering=0) as file:
            chunks = dict(_info_chunks(file))
    except OSError:
        return RecordingMetadata()
    if b"guan" in chunks:
        return parse_guano(chunks[b"guan"].decode("utf-8", "replace"))
    if b"wamd" in chunks:
        return parse_wamd(chunks[b"wamd"])
    comment, artist = (chunks.get(name, b"").decode("utf-8", "replace") for name in (b"ICMT", b"IART"))
    return parse_audiomoth(comment, artist)


def _info_chunks(file: io.RawIOBase) -> Iterator[tuple[bytes, bytes]]:
    """Metadata chunks of a WAVE file, those of its INFO list among them; stops at whatever is damaged."""
    for chunk in wave_chunks(file):
        if chunk.name == b"LIST":
            yield from _listed_info(_content(file, chunk.start, chunk.size_bytes))
        elif chunk.name in (b"guan", b"wamd"):
            yield chunk.name, _content(file, chunk.start, chunk.size_bytes).rstrip(b"\0")


def _listed_info(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = 4 if content[:4] == b"INFO" else len(content)
    while len(header := content[position : position + 8]) == 8:
        size = int.from_bytes(header[4:], "little")
        yield header[:4], content[position + 8 : position + 8 + size].rstrip(b"\0")
        position += 8 + size + size % 2


def _content(file: io.RawIOBase, start: int, size_bytes: int) -> bytes:
    file.seek(start)
    return file.read(min(size_bytes, _CHUNK_BYTES)) or b""
