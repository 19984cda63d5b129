"""Cross-validation: every fold and seed its own run; out-of-fold scores pooled, with intervals over recordings."""

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rfcx_ssl.errors import RunError
from rfcx_ssl.files import atomic_path
from rfcx_ssl.metrics import Interval, average_precision, bootstrap_interval, lwlrap, random_floor, roc_auc
from rfcx_ssl.training.checkpoint import write_file
from rfcx_ssl.training.launch import Launch

if TYPE_CHECKING:
    import pandas as pd

METRICS: dict[str, Callable[..., float]] = {
    "lwlrap": lambda truth, scores, known: lwlrap(truth, scores, known).overall,
    "map": lambda truth, scores, known: average_precision(truth, scores, known).macro,
    "auc": lambda truth, scores, known: roc_auc(truth, scores, known).macro,
}


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
    """Write ``oof.parquet``, ``crossval.json`` and ``crossval.csv`` of finished runs; returns the summary.

    Every metric is given per run, pooled over the folds of each seed, and for the mean score over seeds with a 95 %
    bootstrap interval over recordings.

    Raises:
        RunError: a run has no scores, or folds overlap.
    """
    import pandas as pd

    missing = [str(launch.output_dir) for launch in launches if not (launch.output_dir / "oof.parquet").is_file()]
    if missing:
        raise RunError(f"no oof.parquet in {', '.join(missing)}")
    table = pd.concat([pd.read_parquet(launch.output_dir / "oof.parquet") for launch in launches], ignore_index=True)
    repeated = table.duplicated(["recording_id", "seed"])
    if repeated.any():
        raise RunError(f"{table['recording_id'][repeated].iloc[0]} was validated in two folds: the runs' folds differ")
    with atomic_path(output_dir / "oof.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    runs = [_run_row(launch) for launch in launches]
    write_file(output_dir / "crossval.csv", pd.DataFrame(runs).to_csv(index=False))
    summary = {"runs": runs, **summarise(table, resamples=resamples)}
    write_file(output_dir / "crossval.json", json.dumps(_plain(summary), indent=1))
    return summary


def summarise(table: "pd.DataFrame", *, resamples: int) -> dict[str, Any]:
    """Pooled metrics of out-of-fold rows (``evaluate.write_scores``): per seed, and of the mean over seeds."""
    rng = np.random.default_rng(0)
    seeds = sorted(table["seed"].unique().tolist())
    per_seed = {}
    for seed in seeds:
        truth, known, scores = arrays(table[table["seed"] == seed])
        per_seed[str(seed)] = {name: metric(truth, scores, known) for name, metric in METRICS.items()}
    truth, known, scores = arrays(mean_over_seeds(table))
    pooled: dict[str, Interval] = {
        name: bootstrap_interval(metric, truth, scores, known=known, rng=rng, resamples=resamples)
        for name, metric in METRICS.items()
    }
    values = {name: [per_seed[str(seed)][name] for seed in seeds] for name in METRICS}
    return {
        "recordings": len(truth),
        "seeds": seeds,
        "per_seed": per_seed,
        "mean_over_seeds": {name: float(np.mean(v)) for name, v in values.items()},
        "std_over_seeds": {name: float(np.std(v, ddof=1)) if len(v) > 1 else None for name, v in values.items()},
        "pooled": {name: interval._asdict() for name, interval in pooled.items()},
        "lwlrap_per_class": lwlrap(truth, scores, known).per_class.tolist(),
        "lwlrap_random_floor": random_floor(truth, known).overall,
    }


def mean_over_seeds(table: "pd.DataFrame") -> "pd.DataFrame":
    """One row per recording with the mean score over seeds."""
    scores = [name for name in table.columns if name.startswith("score_")]
    labels = [name for name in table.columns if name.startswith(("truth_", "known_"))]
    grouped = table.groupby("recording_id", sort=True)
    return grouped[scores].mean().join(grouped[labels].first())


def arrays(table: "pd.DataFrame") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, known and scores (R, S) of a table of out-of-fold rows."""
    truth, known, scores = (
        table[[name for name in table.columns if name.startswith(prefix)]].to_numpy()
        for prefix in ("truth_", "known_", "score_")
    )
    return truth.astype(bool), known.astype(bool), scores.astype(np.float64)


def _run_row(launch: Launch) -> dict[str, Any]:
    run = json.loads((launch.output_dir / "run.json").read_text(encoding="utf-8"))
    keys = ("lwlrap", "lwlrap_random_floor", "lwlrap_prior_floor", "map", "auc")
    return {
        "folder": str(launch.output_dir),
        "fold": run["fold"],
        **{key: run["metrics"][key] for key in keys},
        "selected": run["selected"],
        "train_s": run["train_s"],
    }


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """NaN as null, at any depth."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
