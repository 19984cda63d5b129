"""The lines of a pretraining log (``common.log_format=json`` with ``common.log_file``) as numbers."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rfcx_ssl.files import atomic_path

COLUMNS = ("loss", "loss_0", "loss_1", "accuracy", "code_perplexity", "prob_perplexity", "temp", "gnorm", "lr", "ups")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One logged line: ``split`` is ``train`` (since the last line) or ``valid``; ``values`` are plain floats.

    ``loss_0`` is the contrastive loss in bits; fairseq leaves it out when no other loss is weighted, then ``loss``
    is the same number and is copied.
    """

    split: str
    num_updates: int
    values: dict[str, float]


def read_log(path: Path, start_bytes: int = 0) -> tuple[list[LogRecord], int]:
    """Records after ``start_bytes``, and where the next read starts; a line that is still being written waits."""
    if not path.is_file():
        return [], start_bytes
    with path.open("rb") as file:
        file.seek(start_bytes)
        data = file.read()
    complete = data[: data.rfind(b"\n") + 1]
    found = [parse_line(line) for line in complete.decode("utf-8", errors="replace").splitlines()]
    return [record for record in found if record is not None], start_bytes + len(complete)


def parse_line(line: str) -> LogRecord | None:
    """One log line; None for what is not a progress or validation line (settings, the model, epoch averages)."""
    if not line.startswith("{"):
        return None
    try:
        values = {key: float(value) for key, value in json.loads(line).items() if value is not None}
    except (ValueError, TypeError, AttributeError):
        return None
    split = "valid" if "valid_num_updates" in values else "train"
    if split == "valid":
        values = {key.removeprefix("valid_"): value for key, value in values.items()}
    if "num_updates" not in values or "loss" not in values:
        return None
    values.setdefault("loss_0", values["loss"])
    return LogRecord(split, int(values["num_updates"]), values)


def merge_records(records: Iterable[LogRecord]) -> list[LogRecord]:
    """One record per split and update, in order; after a resume the later line counts."""
    latest = {(record.num_updates, record.split): record for record in records}
    return [latest[key] for key in sorted(latest)]


def write_metrics(path: Path, records: Sequence[LogRecord]) -> None:
    """Write records as CSV, atomically: ``split, num_updates`` and the columns of :data:`COLUMNS`."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "num_updates", *COLUMNS))
        for record in records:
            writer.writerow((record.split, record.num_updates, *(record.values.get(name, "") for name in COLUMNS)))
