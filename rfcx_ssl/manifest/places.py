"""Where each recording was made, from a table, when neither its name nor its header says."""

from collections.abc import Mapping
from pathlib import Path

from rfcx_ssl.annotations.layout import RECORDING_COLUMNS
from rfcx_ssl.errors import AnnotationError, ManifestError
from rfcx_ssl.files import iter_csv
from rfcx_ssl.manifest.excluded import names_of
from rfcx_ssl.manifest.state import BuildState

Places = Mapping[str, tuple[str | None, str | None]]


def read_places(path: str | Path) -> Places:
    """``(site, recorder)`` by recording, from a CSV with ``recording_id`` and ``site`` or ``recorder`` (or both).

    Raises:
        ManifestError: the file cannot be read, lacks these columns, lists none or one twice, or has a ragged row.
    """
    path = Path(path)
    places: dict[str, tuple[str | None, str | None]] = {}
    try:
        for line, row in iter_csv(path, ("recording_id",), ("site", "recorder"), others=RECORDING_COLUMNS):
            if len(row) == 1:
                raise ManifestError(f"{path}:1: needs a column site or recorder beside recording_id")
            if row["recording_id"] in places:
                raise ManifestError(f"{path}:{line}: recording {row['recording_id']} is listed twice")
            places[row["recording_id"]] = row.get("site") or None, row.get("recorder") or None
    except AnnotationError as error:
        raise ManifestError(str(error)) from None
    if not places:
        raise ManifestError(f"{path}: lists no recordings")
    return places


def place_recordings(state: BuildState, places: Places) -> None:
    """Set site and recorder of every recording: those of the table, else what its header or name says.

    Raises:
        ManifestError: a table is given that names none of the recordings.
    """
    found = 0

    def place(recording_id: str, column: int) -> str | None:
        nonlocal found
        for name in names_of(recording_id):
            if name in places:
                found += 1
                return places[name][column]
        return None

    state.connection.create_function("place", 2, place)
    state.connection.execute(
        "UPDATE recordings SET site = COALESCE(place(recording_id, 0), named_site), "
        "recorder = COALESCE(place(recording_id, 1), named_recorder)"
    )
    state.connection.commit()
    if places and not found:
        raise ManifestError(f"none of the {len(places)} recordings of the table is here, e.g. {min(places)!r}")
