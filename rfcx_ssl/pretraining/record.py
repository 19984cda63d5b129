"""run.json of a pretraining run: written before the first step, one entry per start, so that the run explains itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import RunError
from rfcx_ssl.files import write_text
from rfcx_ssl.pretraining.log import LogRecord, read_log
from rfcx_ssl.provenance import hash_files, new_record, session_record


def record_run(save_dir: Path, config: Mapping[str, Any], command: Sequence[str], **facts: Any) -> None:  # noqa: ANN401
    """Append this start to ``run.json``; ``config`` and ``data`` there are those of the latest start,
    ``facts`` (any JSON values) those of the first.

    Raises:
        RunError: the folder holds a checkpoint of a run with another model or task than ``config`` asks for.
    """
    path = save_dir / "run.json"
    data = {"sha256": hash_files(_manifests(Path(config["task"]["data"])))}
    last = save_dir / "checkpoint_last.pt"
    if path.is_file():
        run = json.loads(path.read_text(encoding="utf-8"))
    else:
        run = new_record("pretraining", config, data, **facts)
    if last.is_file():
        _refuse_other_model(save_dir, run["config"], config)
    run |= {"config": dict(config), "data": data}
    run["sessions"].append(session_record(data, last.name if last.is_file() else None, command))
    write_text(path, json.dumps(run, indent=2, default=str) + "\n")


def record_end(save_dir: Path, **facts: Any) -> None:  # noqa: ANN401 - any JSON value
    """Add what is known at the end of a start to ``run.json``."""
    path = save_dir / "run.json"
    run = json.loads(path.read_text(encoding="utf-8"))
    write_text(path, json.dumps({**run, **facts}, indent=2) + "\n")


def pretraining_record(save_dir: Path) -> dict[str, Any] | None:
    """What a run folder tells of how its checkpoints came about: ``run.json``, the verdict on its health, measured seconds.

    None where the folder is none of ``pretrain/run.py``.
    """
    if not (save_dir / "run.json").is_file():
        return None
    run: dict[str, Any] = json.loads((save_dir / "run.json").read_text(encoding="utf-8"))
    verdict, log = save_dir / "health.json", Path(str(run["config"].get("common", {}).get("log_file")))
    records, _ = read_log(log if log.is_file() else save_dir / log.name)
    return run | {
        "verdict": json.loads(verdict.read_text(encoding="utf-8")) if verdict.is_file() else None,
        "train_s": wall_s(records),
    }


def wall_s(records: Sequence[LogRecord]) -> float | None:
    """Seconds that fairseq's clock has counted in all starts of a run, in the order of its log; None where it tells none.

    The clock begins anew with every start.
    """
    clock = [record.values["wall"] for record in records if record.split == "train" and "wall" in record.values]
    if not clock:
        return None
    return sum(now for now, then in zip(clock, [*clock[1:], 0.0], strict=True) if then < now)


def _manifests(folder: Path) -> list[Path]:
    """Everything below ``task.data`` that a run may read: prepared and virtual splits, and what says their rate."""
    return sorted([*folder.glob("*.tsv"), *folder.glob("*.parquet"), *folder.glob("manifest.json")])


def _refuse_other_model(save_dir: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    for group in ("model", "task"):
        for key, value in now[group].items():
            if key != "data" and before[group].get(key, value) != value:
                raise RunError(
                    f"{save_dir} holds a run with {group}.{key}={before[group][key]!r}, now it is {value!r}; "
                    "give another checkpoint.save_dir"
                )
