"""Scores of models on recordings that they did not learn from: tables of an arm, out of fold and of the test part."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console

from rfcx_ssl.annotations.layout import TRUTH_TABLE
from rfcx_ssl.data import DataSettings, load_truth
from rfcx_ssl.evaluation.reference import Reference, complete_reference, labelled_reference
from rfcx_ssl.evaluation.runs import read_json, read_run
from rfcx_ssl.evaluation.systems import Heard, hear_all
from rfcx_ssl.files import atomic_path

if TYPE_CHECKING:
    import pandas as pd

OOF, TEST = ("oof.parquet", "oof_boxes.parquet"), ("test.parquet", "test_boxes.parquet")


class Tables(NamedTuple):
    """Rows of recordings and of judged boxes, a row per model: recording_id, truth_S, known_S, score_S; box, score."""

    recordings: "pd.DataFrame"
    boxes: "pd.DataFrame"


def out_of_fold(runs: Sequence[Path]) -> Tables | None:
    """What runs said of their validation sides; None where one of them had none."""
    import pandas as pd

    if not all((run / name).is_file() for run in runs for name in OOF):
        return None
    recordings, boxes = (pd.concat([pd.read_parquet(run / name) for run in runs], ignore_index=True) for name in OOF)
    return Tables(recordings, boxes)


def test_reference(data: DataSettings) -> Reference | None:
    """What no run learns from: the recordings of ``truth.csv``, else the test part; None where there is neither."""
    if (data.root / TRUTH_TABLE).is_file():
        return complete_reference(load_truth(data.root), data.root, "test recordings")
    if data.test_share is None and data.test_file is None:
        return None
    return labelled_reference(replace(data, pseudo=None), None)


def heard_test(folder: Path, runs: Sequence[Path], reference: Reference, device: str, console: Console) -> Tables:
    """What ``runs`` say of a reference, heard once and kept in ``folder``."""
    import pandas as pd

    places = [folder / name for name in TEST]
    if not all(place.is_file() for place in places):
        folder.mkdir(parents=True, exist_ok=True)
        facts = {str(run): read_run(run) for run in runs}
        for place, table in zip(places, _tables(reference, hear_all(facts, reference, device, console)), strict=True):
            with atomic_path(place) as temporary:
                table.to_parquet(temporary, index=False)
    recordings, boxes = (pd.read_parquet(place) for place in places)
    return Tables(recordings, boxes)


def seed_and_fold(run: Path) -> dict[str, int | None]:
    """What tells the models of an arm apart."""
    config = read_json(run / "run.json").get("config", {})
    return {"seed": config.get("seed"), "fold": config.get("fold")}


def _tables(reference: Reference, heard: Mapping[str, Heard]) -> Tables:
    import pandas as pd

    recordings, boxes = [], []
    for name, system in heard.items():
        run = seed_and_fold(Path(name))
        columns: dict[str, object] = {"recording_id": reference.recording_ids, **run}
        for species in range(system.clip.shape[1]):
            columns[f"score_{species}"] = system.clip[:, species]
            columns[f"truth_{species}"] = reference.truth[:, species]
            columns[f"known_{species}"] = reference.known[:, species]
        recordings.append(pd.DataFrame(columns))
        rows = [
            (recording, box.box, box.species_id, box.present)
            for recording, of_recording in zip(reference.recording_ids, system.boxes, strict=True)
            for box in of_recording
        ]
        said = pd.DataFrame(rows, columns=["recording_id", "box", "species_id", "present"])
        said = said.astype({"box": "int64", "species_id": "int64", "present": bool})
        boxes.append(said.assign(score=system.box_scores, **run))
    return Tables(pd.concat(recordings, ignore_index=True), pd.concat(boxes, ignore_index=True))
