"""The record beside evaluation.csv: which weights were judged, and on what. By it a card finds the scores of the model it is about."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcx_ssl.decoding.decisions_file import DECISIONS_FILE
from rfcx_ssl.evaluation.groups import ALL
from rfcx_ssl.evaluation.runs import read_json
from rfcx_ssl.files import iter_csv, write_text
from rfcx_ssl.provenance import file_sha256

logger = logging.getLogger(__name__)
TABLE, RECORD = "evaluation.csv", "evaluation.json"


@dataclass(frozen=True)
class JudgedModel:
    """What an evaluation says of one model: ``values`` are its row for everything, by column of evaluation.csv."""

    folder: Path
    data: str
    notes: Sequence[str]
    values: Mapping[str, float]


def write_record(
    out: Path, data: str, notes: Sequence[str], models: Mapping[str, Path], learned: Mapping[str, str]
) -> None:
    """Write the record into ``out``; ``notes`` are about the recordings, ``learned`` about what each model had heard before."""
    facts = {name: {"note": learned[name], "sha256": _hashes(folder)} for name, folder in models.items()}
    record = {"data": data, "notes": list(notes), "models": facts}
    write_text(out / RECORD, json.dumps(record, indent=2, ensure_ascii=False) + "\n")


def find_judged(run: Path, model: Path) -> Iterator[JudgedModel]:
    """Evaluations in ``run``, or in a folder of it, of exactly the weights and decisions in ``model``; others are named in a warning."""
    wanted: dict[str, str] | None = None
    for table in sorted([*run.glob(TABLE), *run.glob(f"*/{TABLE}")]):
        record: dict[str, Any] = read_json(table.with_name(RECORD))
        wanted = _hashes(model) if wanted is None else wanted
        found = [name for name, facts in record.get("models", {}).items() if facts["sha256"] == wanted]
        if not found:
            logger.warning("%s: is not about this model as it is now, and is left out; evaluate it again", table)
        for name in found[:1]:
            notes = [*record["notes"], record["models"][name]["note"].replace(f"{name}: ", "This model: ", 1)]
            yield JudgedModel(table.parent, record["data"], notes, _row(table, name))


def _row(table: Path, model: str) -> dict[str, float]:
    rows = [cells for _, cells in iter_csv(table, ("model", "group_by"), None)]
    (row,) = [cells for cells in rows if (cells["model"], cells["group_by"]) == (model, ALL)]
    return {name: float(cell) for name, cell in row.items() if name not in ("model", "group_by", "group") and cell}


def _hashes(model: Path) -> dict[str, str]:
    """What decides a model's scores: its weights, and what was tuned."""
    files = [*sorted(model.glob("*.safetensors")), *model.glob(DECISIONS_FILE)]
    return {path.name: file_sha256(path) for path in files}
