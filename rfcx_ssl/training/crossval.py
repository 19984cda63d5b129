"""Cross-validation: every fold and seed its own run; out-of-fold scores pooled, with intervals over recordings."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rfcx_ssl.errors import RunError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.metrics import Interval, bootstrap_interval, partial_lwlrap
from rfcx_ssl.training.checkpoint import write_file
from rfcx_ssl.training.journal import plain
from rfcx_ssl.training.launch import Launch
from rfcx_ssl.training.scores import (
    BOX_METRICS,
    COLUMNS,
    RECORDING_METRICS,
    Cells,
    Metric,
    box_cells,
    box_values,
    is_undefined,
    needs,
    recording_values,
)

if TYPE_CHECKING:
    import pandas as pd

TABLES = {"oof.parquet": ["recording_id", "seed"], "oof_boxes.parquet": ["recording_id", "box", "seed"]}


def plan(output_dir: Path, overrides: Sequence[str], folds: Sequence[int], seeds: Sequence[int]) -> list[Launch]:
    """One launch per seed and fold, in ``output_dir/seed_S/fold_F``.

    Raises:
        RunError: the overrides set what cross-validation sets itself.
    """
    for override in overrides:
        key = override.split("=", 1)[0].lstrip("+~")
        if key in ("fold", "seed", "output_dir"):
            raise RunError(f"{override}: cross-validation sets {key} itself (see --folds, --seeds, --out)")
    return [
        Launch(output_dir / f"seed_{seed}" / f"fold_{fold}", (*overrides, f"fold={fold}", f"seed={seed}"))
        for seed in seeds
        for fold in folds
    ]


def pool(launches: Sequence[Launch], output_dir: Path, *, resamples: int = 1000) -> dict[str, Any]:
    """Write the pooled out-of-fold tables, ``crossval.json`` and ``crossval.csv`` of finished runs; returns the summary.

    Every metric is given per run, pooled over the folds of each seed, and for the mean score over seeds with a 95 %
    bootstrap interval over recordings. A metric that nothing could be judged by is null.

    Raises:
        RunError: a run has no scores, or folds overlap.
    """
    import pandas as pd

    tables = {name: _concatenated(launches, name, key) for name, key in TABLES.items()}
    for name, table in tables.items():
        with atomic_path(output_dir / name) as temporary:
            table.to_parquet(temporary, index=False)
    runs = [_run_row(launch) for launch in launches]
    write_file(output_dir / "crossval.csv", pd.DataFrame(runs).to_csv(index=False))
    summary: dict[str, Any] = plain({"runs": runs, **summarize(*tables.values(), resamples=resamples)})
    write_file(output_dir / "crossval.json", json.dumps(summary, indent=1))
    return summary


def _concatenated(launches: Sequence[Launch], name: str, key: list[str]) -> "pd.DataFrame":
    """One of the tables of all runs; ``key`` tells its rows apart."""
    import pandas as pd

    missing = [str(launch.output_dir) for launch in launches if not (launch.output_dir / name).is_file()]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise RunError(f"no {name} in {missing[0]}{more}")
    table = pd.concat([pd.read_parquet(launch.output_dir / name) for launch in launches], ignore_index=True)
    repeated = table.duplicated(key)
    if repeated.any():
        raise RunError(f"{table['recording_id'][repeated].iloc[0]} was validated in two folds: the runs' folds differ")
    return table


def summarize(recordings: "pd.DataFrame", boxes: "pd.DataFrame", *, resamples: int) -> dict[str, Any]:
    """Pooled metrics of out-of-fold rows (``Validation.write``): per seed, and of the mean score over seeds."""
    rng = np.random.default_rng(0)
    seeds = sorted(recordings["seed"].unique().tolist())
    names = [*BOX_METRICS, *RECORDING_METRICS]
    per_seed = {}
    for seed in seeds:
        values = _values(recordings[recordings["seed"] == seed], boxes[boxes["seed"] == seed])
        per_seed[str(seed)] = {name: values[name] for name in names}
    recordings, boxes = mean_over_seeds(recordings, ["recording_id"]), mean_over_seeds(boxes, ["recording_id", "box"])
    cells, _ = recording_arrays(recordings)
    of_boxes = box_arrays(boxes, cells.truth.shape[1])
    pooled = _intervals(BOX_METRICS, of_boxes, boxes["recording_id"].to_numpy(), rng, resamples)
    pooled |= _intervals(RECORDING_METRICS, cells, None, rng, resamples)
    over_seeds = {name: [per_seed[str(seed)][name] for seed in seeds] for name in names}
    floors = {name: value for name, value in _values(recordings, boxes).items() if name.endswith("_floor")}
    return {
        "recordings": len(recordings),
        "boxes": len(boxes),
        "seeds": seeds,
        "per_seed": per_seed,
        "mean_over_seeds": {name: float(np.mean(v)) for name, v in over_seeds.items()},
        "std_over_seeds": {name: float(np.std(v, ddof=1)) if len(v) > 1 else None for name, v in over_seeds.items()},
        "pooled": {name: interval._asdict() for name, interval in pooled.items()},
        "lwlrap_per_class": partial_lwlrap(*cells).per_class.tolist(),
        **floors,
    }


def summary_text(summary: Mapping[str, Any]) -> str:
    """The pooled metrics with their intervals beside what is reached without listening, a line each."""
    lines = [f"{'':8s} {'score':>7s}  {'95% interval':16s}  {'random':>6s}  {'prior':>6s}"]
    for name, interval in summary["pooled"].items():
        if is_undefined(interval["value"]):
            lines.append(f"{name:8s} not judged, which needs {needs(name)}")
            continue
        floors = [summary.get(f"{name}_{floor}_floor") for floor in ("random", "prior")]
        shown = "  ".join("      " if floor is None else f"{floor:.4f}" for floor in floors)
        low_to_high = f"[{interval['low']:.4f}, {interval['high']:.4f}]"
        lines.append(f"{name:8s} {interval['value']:7.4f}  {low_to_high:16s}  {shown}".rstrip())
    return "\n".join(lines)


def mean_over_seeds(table: "pd.DataFrame", key: list[str]) -> "pd.DataFrame":
    """One row per recording, or per box, with its mean scores over seeds."""
    scores = [name for name in table.columns if name.startswith("score")]
    rest = [name for name in table.columns if name not in (*scores, *key, "fold", "seed")]
    grouped = table.groupby(key, sort=True)
    return grouped[scores].mean().join(grouped[rest].first()).reset_index()


def recording_arrays(table: "pd.DataFrame") -> tuple[Cells, np.ndarray]:
    """Cells and class prior (R, S) of a table of out-of-fold recordings."""
    truth, scores, known, prior = (
        table[[name for name in table.columns if name.startswith(prefix)]].to_numpy()
        for prefix in ("truth_", "score_", "known_", "prior_")
    )
    return Cells(truth.astype(bool), scores.astype(np.float64), known.astype(bool)), prior


def box_arrays(table: "pd.DataFrame", num_species: int) -> Cells:
    """Cells of a table of out-of-fold boxes."""
    columns = (table[name].to_numpy() for name in ("species_id", "present", "score"))
    species, present, scores = columns
    return box_cells(species, present.astype(bool), scores, num_species)


def _values(recordings: "pd.DataFrame", boxes: "pd.DataFrame") -> dict[str, float]:
    cells, prior = recording_arrays(recordings)
    return recording_values(cells, prior) | box_values(box_arrays(boxes, cells.truth.shape[1]))


def _intervals(
    metrics: Mapping[str, Metric], cells: Cells, groups: np.ndarray | None, rng: np.random.Generator, resamples: int
) -> dict[str, Interval]:
    truth, scores, known = cells
    return {
        name: bootstrap_interval(metric, truth, scores, known=known, groups=groups, rng=rng, resamples=resamples)
        for name, metric in metrics.items()
    }


def _run_row(launch: Launch) -> dict[str, Any]:
    run = json.loads((launch.output_dir / "run.json").read_text(encoding="utf-8"))
    return {
        "folder": str(launch.output_dir),
        "fold": run["fold"],
        **{key: run["metrics"].get(key) for key in COLUMNS},
        "selected": run["selected"],
        "train_s": run["train_s"],
    }
