"""Where seconds, samples and frames meet, in integers.

Frame ``k`` covers samples ``[k * hop, (k + 1) * hop)``; a trailing partial hop still gets a frame. Every encoder
answers ``N`` samples with exactly ``num_frames(N)`` frames on this grid, so labels never need to be resampled.
"""

from dataclasses import dataclass


def seconds_to_samples(time_s: float, sample_rate_hz: int) -> int:
    """Nearest sample index of a time in seconds."""
    return round(time_s * sample_rate_hz)


@dataclass(frozen=True, slots=True)
class FrameGrid:
    """Frames of ``hop_samples`` samples at ``sample_rate_hz``."""

    sample_rate_hz: int
    hop_samples: int

    def __post_init__(self) -> None:
        if self.sample_rate_hz < 1 or self.hop_samples < 1:
            raise ValueError(f"need sample_rate_hz >= 1 and hop_samples >= 1, got {self}")

    @property
    def frame_s(self) -> float:
        """Length of one frame in seconds."""
        return self.hop_samples / self.sample_rate_hz

    def num_frames(self, num_samples: int) -> int:
        """Number of frames that cover ``num_samples`` samples (a partial last frame counts)."""
        # not -(-n // hop): integer division rounds towards zero in the graph of an exported model
        return (num_samples + self.hop_samples - 1) // self.hop_samples

    def frame_slice(self, start_s: float, end_s: float, num_frames: int) -> slice:
        """Frames touched by ``[start_s, end_s)``, clipped to ``[0, num_frames)``; empty where nothing is left."""
        start = seconds_to_samples(start_s, self.sample_rate_hz) // self.hop_samples
        stop = self.num_frames(seconds_to_samples(end_s, self.sample_rate_hz))
        start = min(max(start, 0), num_frames)
        return slice(start, min(max(stop, start), num_frames))
