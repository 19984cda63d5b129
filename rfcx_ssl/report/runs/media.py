"""What makes a page large: pictures and sounds inside it, as long as there is room."""

import base64
import html
import io
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from rfcx_ssl.audio import audio_info, read_audio
from rfcx_ssl.errors import AudioError
from rfcx_ssl.report.markup import paragraph

MP3_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
LOUDEST, MOST_GAIN = 0.9, 100.0  # peak of a clip, and how much a quiet one is amplified for it


class Room:
    """How many bytes a page still takes; what does not fit is counted."""

    def __init__(self, limit_bytes: int) -> None:
        self.left_bytes = limit_bytes
        self.left_out = 0

    def take(self, text: str) -> str:
        """``text`` where it fits, else nothing."""
        size = len(text.encode())
        if size > self.left_bytes:
            self.left_out += 1
            return ""
        self.left_bytes -= size
        return text


def data_uri(kind: str, content: bytes) -> str:
    """Bytes as an address of their own; ``kind`` is a media type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def player(waveform: NDArray[np.float32], sample_rate_hz: int, label: str) -> str:
    """An ``audio`` element that carries ``waveform`` (N,), made about equally loud."""
    kind, content = encode_clip(waveform, sample_rate_hz)
    name = html.escape(label, quote=True)
    return f"<audio controls preload='metadata' aria-label='{name}' src='{data_uri(kind, content)}'></audio>"


def encode_clip(waveform: NDArray[np.float32], sample_rate_hz: int) -> tuple[str, bytes]:
    """Media type and file: MP3, which every browser plays, or FLAC where MP3 knows no such rate or libsndfile no MP3."""
    peak = float(np.abs(waveform).max(initial=0.0))
    gain = min(LOUDEST / peak, MOST_GAIN) if peak > 0 else 1.0
    mp3 = sample_rate_hz in MP3_RATES_HZ and "MP3" in soundfile.available_formats()
    buffer = io.BytesIO()
    soundfile.write(buffer, waveform * gain, sample_rate_hz, format="MP3" if mp3 else "FLAC")
    return "audio/mpeg" if mp3 else "audio/flac", buffer.getvalue()


def player_of_file(folder: Path, name: str, label: str) -> str:
    """The same of a short audio file below ``folder``; a sentence where there is none that can be read."""
    path = folder / name
    try:
        if not path.resolve().is_relative_to(folder.resolve()):
            raise AudioError(f"{name}: lies outside {folder}")
        waveform, rate = read_audio(path), audio_info(path).sample_rate_hz
    except AudioError as error:
        return paragraph(f"No player: {error}", "note")
    return player(waveform, rate, label)
