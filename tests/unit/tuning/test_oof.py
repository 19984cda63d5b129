"""Out-of-fold scores of several folds as one evidence."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.evaluation.runs import RunFacts
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.panns import MelSettings, PannsSettings
from rfcx_ssl.species import SpeciesTable, label_space
from rfcx_ssl.tuning.oof import out_of_fold


def make_run(folder, names, *, fold=0, seed=0, species=("frog", "bird"), peaks=True):
    settings = PannsSettings(sample_rate_hz=4000, channels=(4,), time_pools=(2,), freq_pools=(2,), embedding_dim=4, window_s=1.0, mel=MelSettings(n_fft=256, hop_samples=128, n_mels=8, f_max_hz=2000.0))  # fmt: skip
    build_model(settings, label_space(SpeciesTable.of_names(species))).save_pretrained(folder / "model")
    rng = np.random.default_rng(fold)
    columns = {"recording_id": names, "fold": fold, "seed": seed}
    for number in range(len(species)):
        columns |= {f"score_{number}": rng.random(len(names)), f"truth_{number}": number == 0, f"known_{number}": True}
        columns |= {f"prior_{number}": 0.1} | ({f"peak_{number}": rng.random(len(names))} if peaks else {})
    pd.DataFrame(columns).to_parquet(folder / "oof.parquet")
    boxes = {"recording_id": names, "box": 0, "species_id": 1, "start_s": 0.0, "end_s": 1.0, "present": [True, False] * (len(names) // 2)}  # fmt: skip
    pd.DataFrame({**boxes, "score": rng.random(len(names)), "fold": fold, "seed": seed}).to_parquet(
        folder / "oof_boxes.parquet"
    )
    return RunFacts(folder / "model", None, None, None, [], folder)


def test_folds_are_pooled_and_a_recordings_seeds_stay_together(tmp_path):
    runs = [make_run(tmp_path / "a", ["r1", "r0"]), make_run(tmp_path / "b", ["r3", "r2"], fold=1)]
    runs.append(make_run(tmp_path / "c", ["r0", "r1"], seed=1))
    found = out_of_fold(runs)
    assert found.species == ("frog", "bird") and found.timed is None
    assert found.boxes.recording.tolist() == [1, 0, 3, 2, 0, 1] and found.boxes.species.tolist() == [1] * 6
    tables = [pd.read_parquet(tmp_path / name / "oof.parquet") for name in "abc"]
    np.testing.assert_allclose(found.recordings.of(0).scores, np.concatenate([table["peak_0"] for table in tables]))
    assert found.recordings.of(0).present.all() and not found.recordings.of(1).present.any()
    assert found.recordings.of(1).recording.tolist() == [1, 0, 3, 2, 0, 1]
    positives, negatives = found.counts("boxes")
    assert positives.tolist() == [0, 3] and negatives.tolist() == [0, 3]


def test_scores_of_old_runs_have_no_best_frames_of_recordings(tmp_path):
    found = out_of_fold([make_run(tmp_path, ["r0", "r1"], peaks=False)])
    assert len(found.recordings.scores) == 0 and len(found.boxes.scores) == 2


def test_runs_that_do_not_belong_together_are_refused(tmp_path):
    first = make_run(tmp_path / "a", ["r0", "r1"])
    with pytest.raises(RunError, match="r1 was validated twice with seed 0: give the folds of one cross-validation"):
        out_of_fold([first, make_run(tmp_path / "b", ["r1", "r2"])])
    with pytest.raises(RunError, match="its species are not those of"):
        out_of_fold([first, make_run(tmp_path / "c", ["r2", "r3"], species=("frog", "bat"))])
    with pytest.raises(RunError, match="is no run folder"):
        out_of_fold([RunFacts(Path("model"), None, None, None, [])])
    (tmp_path / "a" / "oof.parquet").unlink()
    with pytest.raises(RunError, match=r"has no oof\.parquet; a run with fold=null validates on nothing"):
        out_of_fold([first])
