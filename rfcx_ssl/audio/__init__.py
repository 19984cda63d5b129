"""Audio files in and out: headers, seek reads at any sample rate, atomic 16-bit FLAC."""

from rfcx_ssl.audio.files import (
    CONTEXT_SAMPLES,
    RESAMPLE_QUALITY,
    AudioInfo,
    AudioSource,
    audio_info,
    open_audio,
    read_audio,
    require_audio,
    require_exact_time,
    resampled_samples,
    to_int16,
    write_flac,
    write_wav,
)
from rfcx_ssl.audio.mono import FloatArray, to_mono

__all__ = [
    "CONTEXT_SAMPLES",
    "RESAMPLE_QUALITY",
    "AudioInfo",
    "AudioSource",
    "FloatArray",
    "audio_info",
    "open_audio",
    "read_audio",
    "require_audio",
    "require_exact_time",
    "resampled_samples",
    "to_int16",
    "to_mono",
    "write_flac",
    "write_wav",
]
