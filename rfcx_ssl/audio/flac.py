"""FLAC's own checksum: the MD5 of the decoded samples, which the encoder wrote into the header."""

import hashlib
from pathlib import Path

from rfcx_ssl.audio.files import open_audio, to_int16
from rfcx_ssl.errors import AudioError

_BLOCK_FRAMES = 1 << 18


def check_flac(path: str | Path) -> None:
    """Decode a 16-bit FLAC and compare it with the MD5 in its STREAMINFO block (RFC 9639, section 8.2).

    Raises:
        AudioError: it is no FLAC, cannot be decoded, is not 16-bit, or its samples are not those that were encoded.
    """
    with Path(path).open("rb") as file:
        head = file.read(42)
    if head[:4] != b"fLaC" or len(head) < 42:
        raise AudioError(f"{path}: is not a FLAC file")
    stated = head[26:42]
    digest = hashlib.md5(usedforsecurity=False)
    with open_audio(path) as source:
        if source.subtype != "PCM_16":
            raise AudioError(f"{path}: is {source.subtype}, only 16-bit FLAC can be checked")
        for _ in range(-(-source.frames // _BLOCK_FRAMES)):
            digest.update(to_int16(source.read(_BLOCK_FRAMES)).astype("<i2").tobytes())
    if stated != bytes(16) and digest.digest() != stated:
        raise AudioError(f"{path}: its samples do not have the checksum in its header")
