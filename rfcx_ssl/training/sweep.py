"""Sweeps: Hydra's own grammar for several values of a setting, one run per combination, one summary table."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from rfcx_ssl.errors import ConfigError, first_line
from rfcx_ssl.training.checkpoint import write_file
from rfcx_ssl.training.launch import Launch
from rfcx_ssl.training.scores import COLUMNS


def plan_grid(output_dir: Path, overrides: Sequence[str]) -> list[Launch]:
    """Every combination of ``key=a,b``, ``key=range(1,4)`` and the like; a key without several values is fixed.

    Raises:
        ConfigError: an override that Hydra cannot read.
    """
    parsed = [_parse(override) for override in overrides]
    fixed = [text for text, override in zip(overrides, parsed, strict=True) if not override.is_sweep_override()]
    axes = [
        [f"{override.get_key_element()}={value}" for value in override.sweep_string_iterator()]
        for override in parsed
        if override.is_sweep_override()
    ]
    return [_launch(output_dir, fixed, chosen) for chosen in itertools.product(*axes)]


def _parse(override: str) -> Override:
    try:
        return OverridesParser.create().parse_override(override)
    except HydraException as error:
        raise ConfigError(f"{override}: {first_line(error)}") from None


def plan_list(output_dir: Path, fixed: Sequence[str], lines: Path) -> list[Launch]:
    """One run per line of a file; a line holds overrides separated by spaces, ``#`` starts a comment."""
    launches = []
    for line in lines.read_text(encoding="utf-8").splitlines():
        chosen = line.split("#", 1)[0].split()
        if chosen:
            launches.append(_launch(output_dir, fixed, chosen))
    return launches


def _launch(output_dir: Path, fixed: Sequence[str], chosen: Sequence[str]) -> Launch:
    name = ",".join(chosen).replace("/", "_") or "run"
    return Launch(output_dir / name, (*fixed, *chosen))


def summarize(launches: Sequence[Launch], output_dir: Path, sort_by: str | None = None) -> str:
    """Write ``sweep.csv``, the best run first, and return it as a text table; unfinished runs come last.

    ``sort_by`` is a column; None takes the metric that chose the best weights of the first finished run. A column in
    which no run has a value is left out.
    """
    import pandas as pd

    runs = {launch.output_dir.name: _read_run(launch) for launch in launches}
    rows = [_row(name, run) for name, run in runs.items()]
    chosen = (run["select_metric"] for run in runs.values() if run.get("select_metric"))
    column = sort_by or next(chosen, COLUMNS[0])
    rows.sort(key=lambda row: -row[column] if isinstance(row.get(column), int | float) else float("inf"))
    table = pd.DataFrame(rows).dropna(axis="columns", how="all")
    write_file(output_dir / "sweep.csv", table.to_csv(index=False))
    text: str = table.to_string(index=False, float_format="{:.4f}".format, na_rep="-")
    return text


def _read_run(launch: Launch) -> dict[str, Any]:
    run_file = launch.output_dir / "run.json"
    return json.loads(run_file.read_text(encoding="utf-8")) if run_file.is_file() else {}


def _row(name: str, run: Mapping[str, Any]) -> dict[str, Any]:
    if not run.get("finished"):
        return {"run": name, "state": "unfinished" if run else "not started"}
    metrics = run.get("metrics", {})
    row = {"run": name, "state": "finished", **{key: metrics.get(key) for key in COLUMNS}}
    return row | {key: run.get(key) for key in ("num_parameters", "steps", "train_s", "selected")}
