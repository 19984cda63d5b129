"""Flag segments and decide which are used; from stored measurements, so new thresholds decode nothing again."""

from rfcx_ssl.manifest.settings import FlagSettings, ManifestSettings
from rfcx_ssl.manifest.state import BuildState

#: In order of precedence: a segment has the first status that applies.
STATUSES = ("excluded", "short", "silent", "duplicate", "clipped", "ok")


def flag_segments(state: BuildState, settings: ManifestSettings) -> dict[str, int]:
    """Set ``status`` and ``used`` of every segment; returns how many segments have each status.

    Of segments with the same audio, one that an earlier build placed in train or valid is kept, so that a new copy never
    moves audio from one side to the other; of equals, the first in (recording, position) order. A segment with the audio of an
    excluded recording is excluded as well, whatever its name. Silence is never called a duplicate.
    """
    flags = settings.flags
    database = state.connection
    database.execute(
        "UPDATE segments SET status = CASE "
        "WHEN recording_id IN (SELECT recording_id FROM recordings WHERE excluded) THEN 'excluded' "
        "WHEN num_samples < ? THEN 'short' WHEN rms < ? THEN 'silent' WHEN clipped_share > ? THEN 'clipped' "
        "ELSE 'ok' END",
        (flags.short_s * settings.sample_rate_hz, 10 ** (flags.silent_rms_db / 20), flags.clipped_share),
    )
    _mark_copies(state)
    database.execute(f"UPDATE segments SET used = status NOT IN ({_listed(flags)})")
    counts = dict(database.execute("SELECT status, COUNT(*) FROM segments GROUP BY status"))
    return {status: counts.get(status, 0) for status in STATUSES}


def _listed(flags: FlagSettings) -> str:
    return ", ".join(f"'{name}'" for name in ("excluded", *flags.drop))


def _mark_copies(state: BuildState) -> None:
    """Status of segments whose audio is kept elsewhere, or occurs in an excluded recording.

    ``split`` is still that of the last build, empty where the segment is new or was not used.
    """
    state.connection.executescript(
        """
        CREATE INDEX IF NOT EXISTS by_hash ON segments (audio_hash, recording_id, idx);
        UPDATE segments SET status = 'excluded' WHERE status IN ('ok', 'clipped') AND audio_hash IN
            (SELECT audio_hash FROM segments WHERE status = 'excluded' AND audio_hash IS NOT NULL);
        UPDATE segments SET status = 'duplicate' WHERE status IN ('ok', 'clipped') AND EXISTS
            (SELECT 1 FROM segments AS first WHERE first.audio_hash = segments.audio_hash AND
             (first.split = '', first.recording_id, first.idx) <
             (segments.split = '', segments.recording_id, segments.idx));
        """
    )
