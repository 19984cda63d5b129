"""Keep held-out recordings out of pretraining, and notice where test folds would leak in."""

from collections.abc import Collection, Sequence
from pathlib import Path

from rfcx_ssl.annotations.layout import PRESENT_TABLE, SUBMISSION_TABLE
from rfcx_ssl.errors import AnnotationError, ManifestError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.manifest.roots import Root
from rfcx_ssl.manifest.state import BuildState


def read_recording_ids(path: str | Path, fold: int | None = None) -> set[str]:
    """Ids from a text file (one per line) or a CSV with a ``recording_id`` column, of one ``fold`` where asked.

    Raises:
        ManifestError: no such file, no ids, no ``recording_id`` or ``fold`` column, or a ragged row.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot read recording ids ({error})") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if "," in (lines[0] if lines else "") or (lines and lines[0].strip() == "recording_id"):
        ids = _from_table(path, fold)
    elif fold is None:
        ids = {line.strip() for line in lines}
    else:
        raise ManifestError(f"{path}: choosing fold {fold} needs a CSV with recording_id and fold columns")
    if not ids:
        raise ManifestError(f"{path}: names no recordings" + ("" if fold is None else f" of fold {fold}"))
    return ids


def names_of(recording_id: str) -> set[str]:
    """What a list may call a recording: its id, its path below the root, its file name, or that without extension."""
    name = recording_id.rpartition("/")[2]
    return {recording_id, recording_id.partition("/")[2], name, name.rpartition(".")[0] or name}


def mark_excluded(state: BuildState, ids: Collection[str]) -> int:
    """Set ``excluded`` of every recording that ``ids`` names, and clear it of all others; returns how many.

    Raises:
        ManifestError: ids are given, yet none names a recording.
    """
    wanted = set(ids)
    state.connection.create_function("named", 1, lambda key: not wanted.isdisjoint(names_of(key)), deterministic=True)
    state.connection.execute("UPDATE recordings SET excluded = named(recording_id)")
    state.connection.commit()
    count = state.count("SELECT COUNT(*) FROM recordings WHERE excluded")
    if wanted and not count:
        raise ManifestError(f"none of the {len(wanted)} recordings to exclude is here, e.g. {min(wanted)!r}")
    return count


def leak_warnings(state: BuildState, roots: Sequence[Root]) -> list[str]:
    """Sentences about labelled or test recordings (RFCX layout) that would be pretrained on."""
    warnings = []
    for table in _tables(roots, PRESENT_TABLE):
        labelled, excluded = _present(state, read_recording_ids(table))
        if labelled and not excluded:
            warnings.append(
                f"{labelled} recordings labelled in {table} are pretrained on: scores of any fold of them will come "
                "from audio the encoder has seen; hold a fold out with --exclude-recordings FOLDS.csv --exclude-fold K"
            )
    for table in _tables(roots, SUBMISSION_TABLE):
        present, excluded = _present(state, read_recording_ids(table))
        if present > excluded:
            warnings.append(
                f"{present - excluded} test recordings of {table} are pretrained on (without labels): say so beside "
                f"test scores, or leave them out with --exclude-recordings {table}"
            )
    return warnings


def _from_table(path: Path, fold: int | None) -> set[str]:
    columns = ("recording_id",) if fold is None else ("recording_id", "fold")
    try:
        rows = [row for _, row in iter_csv(path, columns, optional=None)]
    except AnnotationError as error:
        raise ManifestError(str(error)) from None
    return {row["recording_id"] for row in rows if fold is None or row["fold"] == str(fold)}


def _tables(roots: Sequence[Root], name: str) -> list[Path]:
    places = [root.path if root.path.is_dir() else root.path.parent for root in roots]
    candidates = dict.fromkeys(folder / name for place in places for folder in (place, place.parent))
    return [path for path in candidates if path.is_file()]


def _present(state: BuildState, ids: set[str]) -> tuple[int, int]:
    """How many of ``ids`` are sound recordings here, and how many of those are excluded."""
    present = excluded = 0
    for recording_id, is_excluded in state.pages("SELECT recording_id, excluded FROM recordings WHERE problem = ''"):
        if not ids.isdisjoint(names_of(recording_id)):
            present += 1
            excluded += bool(is_excluded)
    return present, excluded
