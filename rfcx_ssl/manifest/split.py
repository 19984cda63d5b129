"""Divide recordings into train and valid by hashing their group: adding files never moves a recording.

A group is what must not be on both sides: a site, a recorder, or a recording on its own. Group g is in valid where
``hash(seed, g) < valid_fraction``. Where that gives fewer segments than fairseq can batch, the groups with the next
smallest hashes join it; they are remembered in the manifest folder, so later builds keep them in valid.
"""

import hashlib
import json
from dataclasses import dataclass

from rfcx_ssl.errors import ManifestError
from rfcx_ssl.manifest.settings import SplitSettings
from rfcx_ssl.manifest.state import BuildState

LEVELS = {
    "site": "COALESCE('site ' || site, 'recorder ' || recorder, 'recording ' || recording_id)",
    "recorder": "COALESCE('recorder ' || recorder, 'recording ' || recording_id)",
    "recording": "'recording ' || recording_id",
}


@dataclass(frozen=True, slots=True)
class SplitReport:
    """What the split came to. ``joined`` are the groups that were added so that fairseq can batch valid."""

    group_by: str
    groups: int
    train_segments: int
    valid_segments: int
    joined: tuple[str, ...]
    warning: str = ""


def group_position(group: str, seed: int) -> float:
    """Position of a group in [0, 1), uniform over groups and fixed for ever."""
    digest = hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def joined_fact(group_by: str, seed: int, valid_fraction: float) -> str:
    """Name under which the groups that joined valid are remembered."""
    return f"joined {group_by} {seed} {valid_fraction}"


def assign_splits(state: BuildState, settings: SplitSettings) -> SplitReport:
    """Fill ``grp`` and ``split`` of every recording, and ``split`` of every segment that is used."""
    database = state.connection
    database.create_function("position", 1, lambda group: group_position(group, settings.seed), deterministic=True)
    group_by = _resolve_level(state, settings)
    database.execute(f"UPDATE recordings SET grp = {LEVELS[group_by]}")
    database.execute(
        "CREATE TEMP TABLE usable AS SELECT grp, position(grp) AS at, COUNT(*) AS segments FROM segments "
        "JOIN recordings USING (recording_id) WHERE used GROUP BY grp"
    )
    memory = joined_fact(group_by, settings.seed, settings.valid_fraction)
    joined = _joined_groups(state, settings, earlier=json.loads(state.fact(memory) or "[]"))
    state.remember(memory, json.dumps(joined))
    database.execute("CREATE TEMP TABLE joined (grp TEXT PRIMARY KEY)")
    database.executemany("INSERT INTO joined VALUES (?)", [(group,) for group in joined])
    database.execute(
        "UPDATE recordings SET split = CASE WHEN position(grp) < ? OR grp IN (SELECT grp FROM joined) "
        "THEN 'valid' ELSE 'train' END",
        (settings.valid_fraction,),
    )
    database.execute(
        "UPDATE segments SET split = CASE WHEN used THEN "
        "(SELECT split FROM recordings WHERE recordings.recording_id = segments.recording_id) ELSE '' END"
    )
    groups = state.count("SELECT COUNT(*) FROM usable")
    database.executescript("DROP TABLE usable; DROP TABLE joined;")
    train, valid = (state.count("SELECT COUNT(*) FROM segments WHERE split = ?", (s,)) for s in ("train", "valid"))
    warning = _warning(groups, group_by, train, valid, settings)
    return SplitReport(group_by, groups, train, valid, tuple(joined), warning)


def check_leaks(state: BuildState) -> None:
    """Fail where a group, or the same audio, is on both sides of the split.

    Raises:
        ManifestError: naming the first group or pair of segments found.
    """
    shared = state.connection.execute(
        "SELECT grp FROM recordings WHERE split <> '' GROUP BY grp HAVING COUNT(DISTINCT split) > 1 LIMIT 1"
    ).fetchone()
    if shared:
        raise ManifestError(f"{shared[0]} is in train and in valid; this is a bug, please report it")
    same = state.connection.execute(
        "SELECT MIN(recording_id), MAX(recording_id) FROM segments WHERE split <> '' AND audio_hash IS NOT NULL "
        "GROUP BY audio_hash HAVING COUNT(DISTINCT split) > 1 LIMIT 1"
    ).fetchone()
    if same:
        raise ManifestError(
            f"{same[0]} and {same[1]} hold the same audio, one is in train and one in valid; "
            "leave duplicates out (flags.drop must name duplicate, and silent)"
        )


def _resolve_level(state: BuildState, settings: SplitSettings) -> str:
    """The grouping; `auto` takes the widest level with two groups or more, and then stays with it."""
    if settings.group_by != "auto":
        return settings.group_by
    remembered = state.fact("group_by")
    if remembered in LEVELS:
        return remembered
    sound = "FROM recordings WHERE problem = '' AND excluded = 0"
    for level, expression in LEVELS.items():
        known = level == "recording" or state.count(f"SELECT COUNT({level}) {sound}")
        if known and state.count(f"SELECT COUNT(DISTINCT {expression}) {sound}") > 1:
            state.remember("group_by", level)
            return level
    return "recording"  # a single recording decides nothing


def _joined_groups(state: BuildState, settings: SplitSettings, earlier: list[str]) -> list[str]:
    """Groups above ``valid_fraction`` that valid needs, or needed in an earlier build, to hold a full batch."""
    everything = "SELECT grp, at, segments FROM usable WHERE at >= ? ORDER BY at"
    above = state.connection.execute(everything, (settings.valid_fraction,))
    valid = state.count("SELECT SUM(segments) FROM usable WHERE at < ?", (settings.valid_fraction,))
    train = state.count("SELECT SUM(segments) FROM usable") - valid
    kept = set(earlier)
    valid += sum(state.count("SELECT segments FROM usable WHERE grp = ?", (group,)) for group in kept)
    joined: list[str] = []
    for group, _, segments in above:
        if group in kept:
            joined.append(group)
            train -= segments
        elif valid < settings.batch_multiple <= train - segments:
            joined.append(group)
            valid, train = valid + segments, train - segments
        elif valid >= settings.batch_multiple and not kept:
            break
    return joined


def _warning(groups: int, group_by: str, train: int, valid: int, settings: SplitSettings) -> str:
    need = settings.batch_multiple
    if train >= need and valid >= need:
        return ""
    short = "valid" if valid < need else "train"
    return (
        f"{short} has {min(train, valid) if short == 'train' else valid} segments; fairseq stops with 'dataset is empty' "
        f"below {need} (dataset.required_batch_size_multiple). {train + valid} segments in {groups} groups by "
        f"{group_by} cannot fill both sides: add recordings, shorten segment_s, or group by less "
        "(split.group_by=recording)"
    )
