"""Evidence from what training has written: scores of recordings that a fold did not train on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rfcx_ssl.errors import RunError, first_line
from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.models.configuration import RainforestSedConfig
from rfcx_ssl.training.run_folder import RunFolder
from rfcx_ssl.tuning.evidence import Cells, Evidence, cells_of
from rfcx_ssl.tuning.groups import make_groups

if TYPE_CHECKING:
    import pandas as pd


def out_of_fold(runs: Sequence[RunFacts]) -> Evidence:
    """What the models of one run, or of the folds of one cross-validation, say of their validation recordings.

    Raises:
        RunError: a folder is no run with a validation side, the runs hear other species, or a recording was validated
            twice with one seed.
    """
    folders = [_folder(run) for run in runs]
    species = [RainforestSedConfig.from_pretrained(folder.model).space.species_names for folder in folders]
    for folder, own in zip(folders, species, strict=True):
        if own != species[0]:
            raise RunError(f"{folder.path}: its species are not those of {folders[0].path}: tune them apart")
    recordings = _table([folder.oof for folder in folders], ["recording_id", "seed"])
    boxes = _table([folder.oof_boxes for folder in folders], ["recording_id", "box", "seed"])
    names, row_of = np.unique(recordings["recording_id"].to_numpy(str), return_inverse=True)
    row_of_box = np.searchsorted(names, boxes["recording_id"].to_numpy(str))
    said = Cells(
        boxes["species_id"].to_numpy(np.int64),
        row_of_box,
        boxes["score"].to_numpy(np.float64),
        boxes["present"].to_numpy(np.bool_),
    )
    truth, known = (_columns(recordings, prefix, len(species[0])).astype(np.bool_) for prefix in ("truth", "known"))
    if "peak_0" not in recordings.columns:  # written before November 2026, without the best frames
        known = np.zeros_like(known)
        peaks = known.astype(np.float64)
    else:
        peaks = _columns(recordings, "peak", len(species[0]))
    groups = make_groups(names.tolist(), [None] * len(names))
    return Evidence(species[0], groups, said, cells_of(peaks, truth & known, known, row_of), None)


def _folder(run: RunFacts) -> RunFolder:
    if run.folder is None:
        raise RunError(f"--oof: {run.model} is no run folder, which holds the scores of its validation side")
    folder = RunFolder(run.folder)
    if missing := [path.name for path in (folder.oof, folder.oof_boxes) if not path.is_file()]:
        raise RunError(f"--oof: {run.folder} has no {missing[0]}; a run with fold=null validates on nothing")
    return folder


def _table(paths: Sequence[Path], key: list[str]) -> "pd.DataFrame":
    """The tables of several folds as one; ``key`` tells its rows apart."""
    import pandas as pd

    try:
        table = pd.concat([pd.read_parquet(path) for path in paths], ignore_index=True)
    except (OSError, ValueError) as error:
        raise RunError(f"--oof: {paths[0]}: cannot be read ({first_line(error)})") from None
    if (repeated := table.duplicated(key)).any():
        row = table[repeated].iloc[0]
        raise RunError(
            f"--oof: {row['recording_id']} was validated twice with seed {row['seed']}: give the folds of one cross-validation"
        )
    return table


def _columns(table: "pd.DataFrame", prefix: str, size: int) -> "np.ndarray":
    return table[[f"{prefix}_{species}" for species in range(size)]].to_numpy()
