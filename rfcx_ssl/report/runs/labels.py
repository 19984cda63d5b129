"""Which recordings a report judges its runs on, when nobody says so: none that they trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rfcx_ssl.annotations.layout import TRUTH_TABLE
from rfcx_ssl.config import check_settings
from rfcx_ssl.data.settings import DataSettings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.evaluation.known import LISTENING
from rfcx_ssl.evaluation.reference import Reference, labelled_reference, open_reference
from rfcx_ssl.evaluation.runs import RunFacts, read_json


def reference_of_runs(facts: Mapping[str, RunFacts]) -> Reference:
    """The recordings that the runs' own data set keeps for judging.

    Those of its ``truth.csv``; else its test part; else the validation side of the runs' fold, which must be one.

    Raises:
        RfcxError: a model has no run folder, the runs disagree, their data set is gone, or all of it was trained on.
    """
    configs = {name: _config(name, run) for name, run in facts.items()}
    first, *others = configs
    root = Path(configs[first]["data"]["root"])
    for name in others:
        if Path(configs[name]["data"]["root"]).resolve() != root.resolve():
            raise ConfigError(f"{first} and {name} were trained on different data sets: give --labels ROOT")
    if not root.is_dir():
        raise ConfigError(f"{first}: its data set {root} is not there (any more, or from here): give --labels ROOT")
    if (root / TRUTH_TABLE).is_file():
        return open_reference(root, None, (), None)
    data = check_settings(DataSettings, configs[first]["data"], f"{facts[first].folder}/run.json: data")
    if data.test_share is not None or data.test_file is not None:
        return labelled_reference(data, None)
    folds = {name: config.get("fold") for name, config in configs.items()}
    if len(set(folds.values())) > 1:
        told = ", ".join(f"{name} fold {fold}" for name, fold in folds.items())
        raise ConfigError(f"the runs validated on different recordings ({told}): give --labels ROOT")
    if folds[first] is None:
        raise ConfigError(f"{first} was trained on all of {root}, which has no test part: give --labels ROOT")
    return labelled_reference(data, folds[first])


def _config(name: str, run: RunFacts) -> Mapping[str, Any]:
    config = {} if run.folder is None else read_json(run.folder / "run.json").get("config", {})
    if not config.get("data"):
        raise ConfigError(f"{name}: no run folder tells which data it is of: give --labels ROOT")
    return dict(config)


def sample_rows(reference: Reference, most: int, seed: int) -> list[int]:
    """Recordings to hear: all, or ``most`` drawn at random among those of which anything is known, in order."""
    rows = np.arange(len(reference.paths))
    if len(rows) <= most:
        return rows.tolist()
    judged = np.array([bool(boxes) for boxes in reference.boxes(LISTENING)])
    telling = np.flatnonzero(reference.known.any(axis=1) | judged)
    chosen = np.random.default_rng(seed).choice(telling if len(telling) >= most else rows, most, replace=False)
    return sorted(chosen.tolist())
