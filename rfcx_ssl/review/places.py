"""Site and hour of every recording, as far as they are known: from a table, the file's header or its name."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rfcx_ssl.detection.recordings import Recording
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.manifest.excluded import names_of
from rfcx_ssl.manifest.metadata import add_seconds, read_metadata
from rfcx_ssl.manifest.places import read_places


@dataclass(frozen=True)
class Places:
    """Of R recordings; None where nobody says."""

    site: tuple[str | None, ...]
    start_time: tuple[str | None, ...]  # ISO 8601

    def hour(self, recording: int, at_s: float) -> int | None:
        """Hour of the day, 0 to 23, ``at_s`` seconds into a recording, in the zone that its recorder wrote."""
        time = add_seconds(self.start_time[recording], at_s)
        return None if time is None else datetime.fromisoformat(time).hour


def find_places(recordings: Sequence[Recording], table: Path | None = None) -> Places:
    """Sites from ``table`` (``recording_id, site``) where it names a recording, else from its header or name.

    Raises:
        ManifestError: the table cannot be read. ConfigError: it names none of the recordings.
    """
    written = [read_metadata(recording.path) for recording in recordings]
    listed = read_places(table) if table is not None else {}
    named = [
        next((listed[name][0] for name in sorted(names_of(recording.name)) if name in listed), None)
        for recording in recordings
    ]
    if listed and not any(named):
        raise ConfigError(f"--sites {table}: names none of the {len(recordings)} recordings, e.g. {min(listed)!r}")
    sites = tuple(site or found.site for site, found in zip(named, written, strict=True))
    return Places(sites, tuple(found.start_time for found in written))
