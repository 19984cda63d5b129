"""Clips of detections as FLAC, cut from the recording at its own rate: the surest events of every species.

Which clips there are, and what they are called, is a function of the result and the settings alone: the worker that
heard the recording cuts them, and ``clips.csv`` is written later, without audio.
"""

from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from rfcx_ssl.audio import audio_info, read_audio, write_flac
from rfcx_ssl.decoding.detections import Detection
from rfcx_ssl.detection.fetch import OWN_DISK
from rfcx_ssl.detection.result import Result
from rfcx_ssl.errors import AudioError
from rfcx_ssl.files import safe_name
from rfcx_ssl.settings import settings

FOLDER = "clips"


@settings
class ClipSettings:
    """Which clips to cut, in seconds."""

    clips_per_species: int = 3  # of each recording, the highest scores
    clip_margin_s: float = 1.0  # before and after the event, as far as the recording was heard
    longest_clip_s: float = 30.0  # of a longer event its beginning

    def __post_init__(self) -> None:
        """Reject values without a meaning; ``ValueError`` names key, value and rule."""
        if self.clips_per_species < 1:
            raise ValueError(f"clips_per_species={self.clips_per_species} must be at least 1")
        if not 0 <= self.clip_margin_s <= 60:
            raise ValueError(f"clip_margin_s={self.clip_margin_s} must be in [0, 60] seconds")
        if not 1 <= self.longest_clip_s <= 600:
            raise ValueError(f"longest_clip_s={self.longest_clip_s} must be in [1, 600] seconds")


class Clip(NamedTuple):
    """One clip; times count from the start of the recording's file."""

    file: str  # below the output folder, with forward slashes
    event: Detection
    start_s: float
    end_s: float


def clips_of(result: Result, settings: ClipSettings) -> list[Clip]:
    """The clips of one recording, by time: of each species its events with the highest scores, of equals the earliest."""
    of_species: defaultdict[str, list[Detection]] = defaultdict(list)
    for event in sorted(result.events, key=lambda event: (-event.score, event.box.start_s)):
        if len(of_species[event.species]) < settings.clips_per_species:
            of_species[event.species].append(event)
    clips = [_clip(result, event, settings) for events in of_species.values() for event in events]
    return sorted(clips, key=lambda clip: (clip.event.box.start_s, clip.event.species))


def clip_file(recording: str, event: Detection) -> str:
    """Where the clip of an event lies below the output folder, with forward slashes."""
    name = f"{safe_name(event.species, folders=False)}/{safe_name(recording)}_{event.box.start_s:.3f}s.flac"
    return f"{FOLDER}/{name}"


def save_clips(
    result: Result, audio: Path, out: Path, settings: ClipSettings, channel: int | None = None
) -> list[str]:
    """Cut the clips of a recording that lies at ``audio`` into ``out/clips``; returns what could not be cut, and why."""
    clips = clips_of(result, settings)
    try:
        rate = audio_info(audio, partial=True).sample_rate_hz if clips else 0
    except AudioError as error:
        return [str(error)]
    problems = []
    for clip in clips:
        start, path = round(clip.start_s * rate), out / clip.file
        length = round(clip.end_s * rate) - start
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            samples = read_audio(audio, start_samples=start, num_samples=length, channel=channel, partial=True)
            write_flac(path, samples, rate)
        except OSError as error:
            if error.errno in OWN_DISK:  # so would be the next ones
                raise
            problems.append(str(error))
        except AudioError as error:
            problems.append(str(error))
    return problems


def _clip(result: Result, event: Detection, settings: ClipSettings) -> Clip:
    start_s = max(event.box.start_s - settings.clip_margin_s, result.start_s)
    end_s = min(event.box.end_s + settings.clip_margin_s, result.start_s + result.heard_s)
    return Clip(clip_file(result.recording, event), event, start_s, min(end_s, start_s + settings.longest_clip_s))
