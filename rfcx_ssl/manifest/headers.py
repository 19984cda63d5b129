"""What a recording's header and name say, gathered for many files per task."""

from dataclasses import dataclass

from rfcx_ssl.audio import audio_info, resampled_samples
from rfcx_ssl.errors import AudioError
from rfcx_ssl.manifest.metadata import read_metadata

MAX_SOURCE_RATE_HZ = 500_000


@dataclass(frozen=True, slots=True)
class Header:
    """Header of one recording, or the ``problem`` that keeps it out."""

    recording_id: str
    frames: int = 0
    sample_rate_hz: int = 0
    channels: int = 0
    format: str = ""
    subtype: str = ""
    site: str | None = None
    recorder: str | None = None
    start_time: str | None = None
    problem: str = ""

    def target_samples(self, target_hz: int) -> int:
        """Length of the recording at ``target_hz``."""
        return resampled_samples(self.frames, self.sample_rate_hz, target_hz)


def scan_headers(files: list[tuple[str, str]], target_hz: int, min_source_rate_hz: int) -> list[Header]:
    """Headers of ``[(recording_id, path), ...]``; a file that cannot be used gets a ``problem``."""
    return [_scan(recording_id, path, target_hz, min_source_rate_hz) for recording_id, path in files]


def _scan(recording_id: str, path: str, target_hz: int, min_source_rate_hz: int) -> Header:
    try:
        info = audio_info(path)
    except AudioError as error:
        return Header(recording_id, problem=str(error).removeprefix(f"{path}: "))
    metadata = read_metadata(path)
    return Header(
        recording_id,
        info.frames,
        info.sample_rate_hz,
        info.channels,
        info.format,
        info.subtype,
        metadata.site,
        metadata.recorder,
        metadata.start_time,
        _rule_broken(info.frames, info.sample_rate_hz, target_hz, min_source_rate_hz),
    )


def _rule_broken(frames: int, rate_hz: int, target_hz: int, min_source_rate_hz: int) -> str:
    if resampled_samples(frames, rate_hz, target_hz) == 0:
        return f"holds no audio ({frames} samples)"
    if not min_source_rate_hz <= rate_hz <= MAX_SOURCE_RATE_HZ:
        return f"sample rate {rate_hz} Hz is outside {min_source_rate_hz} to {MAX_SOURCE_RATE_HZ} Hz"
    return ""
