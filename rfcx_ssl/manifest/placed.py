"""What an earlier build decided, read back from the tables it wrote where its state was deleted.

Three decisions depend on what was there first, and must outlive the state: which of several copies of the same audio is
used, which groups joined valid, and what the automatic grouping chose.
"""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet

from rfcx_ssl.manifest.split import joined_fact
from rfcx_ssl.manifest.state import BuildState

_ROWS_PER_BATCH = 16_384
_COLUMNS = ["split", "recording_id", "start_samples", "audio_hash"]


def recall_placed(state: BuildState, folder: Path) -> None:
    """Once in the life of a state: take over what ``segments.parquet`` and ``manifest.json`` of ``folder`` say.

    Tables that are missing, damaged or of other audio say nothing.
    """
    if state.fact("recalled") is None:
        _recall_split(state, folder / "manifest.json")
        _recall_segments(state, folder / "segments.parquet")
        state.remember("recalled", "yes")


def _recall_split(state: BuildState, path: Path) -> None:
    try:
        summary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        split, settings = summary["split"], summary["settings"]["split"]
        group_by, joined = str(split["group_by"]), [str(group) for group in split["joined"]]
        fact = joined_fact(group_by, settings["seed"], settings["valid_fraction"])
        chosen = settings["group_by"] == "auto"
    except (OSError, ValueError, KeyError, TypeError):
        return
    if state.fact(fact) is None:
        state.remember(fact, json.dumps(joined))
    if chosen and state.fact("group_by") is None:
        state.remember("group_by", group_by)


def _recall_segments(state: BuildState, path: Path) -> None:
    try:
        with pa.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(_ROWS_PER_BATCH, columns=_COLUMNS):
                used = batch.filter(pc.not_equal(batch["split"], ""))
                rows = zip(*(used[name].to_pylist() for name in _COLUMNS), strict=True)
                state.connection.executemany(
                    "UPDATE segments SET split = ? WHERE recording_id = ? AND start_samples = ? AND audio_hash = ?",
                    rows,
                )
    except (OSError, pa.ArrowException, KeyError):
        return
