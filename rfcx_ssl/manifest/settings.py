"""Settings of the manifest builder (``configs/manifest/build.yaml``)."""

import hashlib
import json
from typing import Literal

from rfcx_ssl.settings import settings

Flag = Literal["short", "silent", "duplicate", "clipped"]
#: Raised when the same settings would give different audio, so that older prepared audio is made again.
FORMAT_VERSION = 1


@settings
class FlagSettings:
    """When a segment is flagged, and which flags leave it out of train and valid."""

    short_s: float = 1.0
    silent_rms_db: float = -90.0
    clipped_share: float = 0.01
    drop: tuple[Flag, ...] = ("short", "silent", "duplicate")

    def __post_init__(self) -> None:
        if self.short_s < 0:
            raise ValueError(f"need short_s >= 0, got {self.short_s}")
        if not 0 <= self.clipped_share <= 1:
            raise ValueError(f"need 0 <= clipped_share <= 1, got {self.clipped_share}")


@settings
class SplitSettings:
    """How recordings are divided into train and valid."""

    valid_fraction: float = 0.05
    group_by: Literal["auto", "recording", "recorder", "site"] = "auto"
    seed: int = 0
    batch_multiple: int = 8

    def __post_init__(self) -> None:
        if not 0 < self.valid_fraction < 1:
            raise ValueError(f"need 0 < valid_fraction < 1, got {self.valid_fraction}")
        if self.batch_multiple < 1:
            raise ValueError(f"need batch_multiple >= 1, got {self.batch_multiple}")


@settings
class ManifestSettings:
    """Everything that decides what a manifest folder holds."""

    sample_rate_hz: int = 32_000
    segment_s: float = 15.0
    channel: int | None = None
    min_source_rate_hz: int = 8_000
    check: Literal["decode", "headers"] = "decode"
    flags: FlagSettings = FlagSettings()
    split: SplitSettings = SplitSettings()

    def __post_init__(self) -> None:
        if not 1_000 <= self.sample_rate_hz <= 655_350:
            raise ValueError(f"sample_rate_hz={self.sample_rate_hz} must be within 1000 and 655350 (FLAC's limit)")
        if self.max_samples < 1:
            raise ValueError(f"segment_s={self.segment_s} must hold at least one sample")
        if self.channel is not None and self.channel < 0:
            raise ValueError(f"channel={self.channel} must be null or >= 0")

    @property
    def max_samples(self) -> int:
        """Longest segment in samples at ``sample_rate_hz``."""
        return int(self.segment_s * self.sample_rate_hz)

    def fingerprint(self, *, virtual: bool) -> str:
        """Names what decides the segments of one recording; a change means decoding again."""
        parts = [FORMAT_VERSION, self.sample_rate_hz, self.max_samples, self.channel, self.check, virtual]
        return hashlib.blake2b(json.dumps(parts).encode(), digest_size=8).hexdigest()
