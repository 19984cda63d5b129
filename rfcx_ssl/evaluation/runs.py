"""What a run folder tells: its model, how long it trained, its curves."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rfcx_ssl.errors import RunError

CURVES = {  # kind of line and key in metrics.jsonl -> title of a panel
    ("train", "loss"): "training loss",
    ("eval", "box_auc"): "validation AUC of boxes",
    ("eval", "lwlrap"): "validation LWLRAP (known cells)",
}


@dataclass(frozen=True)
class Curve:
    """One quantity over the optimizer steps of one run."""

    title: str
    steps: list[int]
    values: list[float]


@dataclass(frozen=True)
class RunFacts:
    """What is known about one trained model beside its weights."""

    model: Path
    labels: int | None  # labelled recordings it learned from
    settings: str | None  # of the model: equal in runs that differ in labels and seeds only
    train_s: float | None
    curves: list[Curve]
    folder: Path | None = None  # of the run; None where only the model is known


def find_model(source: str) -> RunFacts:
    """Facts of a run folder or a model directory; any other ``name/name`` or ``name/name@revision`` is a model on the hub.

    Raises:
        RunError: there is no model in the folder, or no such folder.
    """
    if not Path(source).exists() and re.fullmatch(r"[\w.-]+/[\w.-]+(@[\w./-]+)?", source):
        return RunFacts(Path(source), None, None, None, [])
    return read_run(Path(source))


def read_run(folder: Path) -> RunFacts:
    """Facts of a run folder. A bare model directory is accepted too: it has no training time and no curves.

    Raises:
        RunError: there is no model in the folder.
    """
    if (folder / "config.json").is_file():
        return RunFacts(folder, None, None, None, [])
    if not (folder / "model" / "config.json").is_file():
        raise RunError(f"{folder}: neither a model directory nor a run folder with a finished model/")
    run = read_json(folder / "run.json")
    seconds = {**run, **read_json(folder / "progress.json")}.get("train_s")
    settings = run.get("config", {}).get("model")
    return RunFacts(
        folder / "model",
        run.get("data", {}).get("recordings", {}).get("train"),
        None if settings is None else json.dumps(settings, sort_keys=True),
        None if seconds is None else float(seconds),
        _read_curves(folder / "metrics.jsonl"),
        folder,
    )


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; an empty one where there is no such file."""
    if not path.is_file():
        return {}
    values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return values


def _read_curves(path: Path) -> list[Curve]:
    """The quantities of ``CURVES`` that the log holds."""
    if not path.is_file():
        return []
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    found = []
    for (kind, key), title in CURVES.items():
        points = [(int(line["step"]), value) for line in lines if (value := _value(line, kind, key)) is not None]
        if points:
            found.append(Curve(title, [step for step, _ in points], [value for _, value in points]))
    return found


def _value(line: Mapping[str, Any], kind: str, key: str) -> float | None:
    value = line.get(key)
    return float(value) if line.get("kind") == kind and isinstance(value, int | float) else None
