"""How much audio a file's header promises, and how much is there.

libsndfile silently shortens a cut WAV, RF64, W64, AIFF, CAF or AU to what is left of it. These containers state how
many bytes of audio follow, so a few reads of the header tell. FLAC, OGG and MP3 state no such size: what is missing of
them shows where they are decoded.

A size that was never filled in (a pipe, a recorder that lost power) means: to the end of the file. libsndfile knows
some of these, and sees no audio at all in a WAV with the others, so it is shown such a file with the size filled in.
"""

import io
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

#: What programs write who cannot go back and fill the size in: SoX into AIFF and WAV, arecord, and all ones by ffmpeg,
#: RF64, CAF and AU. Each may be lessened by the size of a header or to a whole sample. Some write 0.
PLACEHOLDERS = (0x7F00_0000, 0x7FFF_F000, 0x7FFF_FF00, 0x7FFF_FFFF, 0x8000_0000, 2**32 - 1, 2**64 - 1)
_LESSENED_BYTES = 128
_FARTHEST = 2**62  # bytes into a file: what is damaged may lead farther than can be sought
_MOST_CHUNKS = 1000  # a damaged file may hold millions of empty ones
_WAVES = (b"RIFF", b"RIFX", b"RF64", b"BW64")

Order = Literal["little", "big"]


class Chunk(NamedTuple):
    """A named part of a container; ``start`` is the offset of its content, ``size_bytes`` what its header states."""

    name: bytes
    start: int
    size_bytes: int
    size_place: int  # where the size is stated


class Extent(NamedTuple):
    """The audio of a container by its header and by the length of the file."""

    data: Chunk
    file_bytes: int

    @property
    def found_bytes(self) -> int:
        """Bytes from the start of the audio to the end of the file."""
        return max(0, self.file_bytes - self.data.start)

    @property
    def is_open(self) -> bool:
        """Whether the size was never filled in."""
        size = self.data.size_bytes
        return size <= 0 or any(0 <= placeholder - size < _LESSENED_BYTES for placeholder in PLACEHOLDERS)

    @property
    def problem(self) -> str | None:
        """What is missing, in words; None where all is there.

        A size that counts the header in, a frequent slip of recorders, is no problem.
        """
        missing_bytes = self.data.size_bytes - self.found_bytes
        if self.is_open or missing_bytes <= 0 or missing_bytes in (self.data.start, self.data.start - 8):
            return None
        return f"truncated: its header states {self.data.size_bytes} bytes of audio, the file holds {self.found_bytes}"


class _Layout(NamedTuple):
    """How a container writes its chunks: name, size, content, padding."""

    first_chunk: int
    order: Order = "big"
    name_bytes: int = 4
    size_bytes: int = 4
    counts_itself: bool = False  # the size counts name and size in
    align: int = 2


_RIFF, _RIFX, _AIFF = _Layout(12, "little"), _Layout(12), _Layout(12)
_CAF, _W64 = _Layout(8, size_bytes=8, align=1), _Layout(40, "little", 16, 8, counts_itself=True, align=8)


def audio_extent(file: io.RawIOBase) -> Extent | None:
    """The extent of the audio in an open file; None for a container that states none. Leaves ``file`` at its start."""
    data = _audio_chunk(file)
    file_bytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    return None if data is None else Extent(data, file_bytes)


def finished(file: io.RawIOBase, extent: Extent | None) -> io.RawIOBase:
    """``file`` itself, or a view of a WAV that libsndfile takes for empty, with the size of its audio filled in."""
    if extent is None or not extent.found_bytes:
        return file
    head = file.read(8) or b""
    file.seek(0)
    is_long = extent.data.size_place < extent.data.start - 8  # stated in another chunk
    unfilled = (0, 2**64 - 1) if is_long else (0,)
    honest = int.from_bytes(head[4:8], "little") + 8 == extent.file_bytes  # a recording without audio, but with notes
    if head[:4] not in _WAVES or extent.data.size_bytes not in unfilled or honest:
        return file
    size = extent.found_bytes.to_bytes(8, "little") if is_long else b"\xff\xff\xff\xff"
    return _Patched(file, extent.data.size_place, size)


def wave_chunks(file: io.RawIOBase) -> Iterator[Chunk]:
    """Chunks of a RIFF, RIFX, RF64 or BW64 WAVE in order, ``data`` with its 64-bit size where one is stated.

    The caller may move ``file`` in between. Ends at the end of the file, or where it makes no sense.
    """
    file.seek(0)
    head = file.read(12) or b""
    if head[:4] not in _WAVES or head[8:] != b"WAVE":
        return
    long = None
    for chunk in _chunks(file, _RIFX if head[:4] == b"RIFX" else _RIFF):
        if chunk.name == b"ds64":
            file.seek(chunk.start + 8)
            long = int.from_bytes(file.read(8) or b"", "little"), chunk.start + 8
        if chunk.name == b"data" and chunk.size_bytes == 2**32 - 1 and long is not None:
            yield Chunk(chunk.name, chunk.start, *long)
        else:
            yield chunk


def _audio_chunk(file: io.RawIOBase) -> Chunk | None:
    """The chunk that holds the audio; None in other containers, or where it does not come."""
    file.seek(0)
    head = file.read(40) or b""
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        sound = _named(_chunks(file, _AIFF), b"SSND")
        return sound and sound._replace(start=sound.start + 8, size_bytes=sound.size_bytes - 8)  # offset, block size
    if head[:4] == b"caff":
        return _named(_chunks(file, _CAF), b"data")
    if head[:4] == b"riff" and head[24:28] == b"wave":
        return _named(_chunks(file, _W64), b"data")
    if head[:4] in (b".snd", b"dns."):
        order: Order = "big" if head[:4] == b".snd" else "little"
        return Chunk(b"data", int.from_bytes(head[4:8], order), int.from_bytes(head[8:12], order), 8)
    return _named(wave_chunks(file), b"data")


def _chunks(file: io.RawIOBase, layout: _Layout) -> Iterator[Chunk]:
    position, head_bytes = layout.first_chunk, layout.name_bytes + layout.size_bytes
    for _ in range(_MOST_CHUNKS):
        if position >= _FARTHEST:
            return
        file.seek(position)
        head = file.read(head_bytes) or b""
        if len(head) < head_bytes:
            return
        size = int.from_bytes(head[layout.name_bytes :], layout.order) - layout.counts_itself * head_bytes
        yield Chunk(head[: layout.name_bytes], position + head_bytes, size, position + layout.name_bytes)
        position += head_bytes + -(-max(size, 0) // layout.align) * layout.align


def _named(chunks: Iterator[Chunk], name: bytes) -> Chunk | None:
    return next((chunk for chunk in chunks if chunk.name[:4] == name), None)


class _Patched(io.RawIOBase):
    """A file in which some bytes read differently."""

    def __init__(self, file: io.RawIOBase, place: int, patch: bytes) -> None:
        super().__init__()
        self._file, self._place, self._patch = file, place, patch

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, as in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Where the file is."""
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill ``buffer`` from the file, then lay the patch over it; returns the number of bytes."""
        start = self._file.tell()
        count = self._file.readinto(buffer) or 0
        first, last = max(self._place, start), min(self._place + len(self._patch), start + count)
        if first < last:
            buffer[first - start : last - start] = self._patch[first - self._place : last - self._place]
        return count
