"""Planning and pooling of a cross-validation, on hand-made run folders."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import label_ranking_average_precision_score

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.crossval import mean_over_seeds, plan, pool, summarise
from rfcx_ssl.training.launch import Launch


def test_one_launch_per_seed_and_fold(tmp_path):
    launches = plan(tmp_path, ["model=panns_cnn14", "max_steps=3"], folds=[0, 2], seeds=[0, 1])
    assert [launch.output_dir.relative_to(tmp_path).as_posix() for launch in launches] == [
        "seed_0/fold_0", "seed_0/fold_2", "seed_1/fold_0", "seed_1/fold_2",
    ]  # fmt: skip
    assert launches[1].overrides == ("model=panns_cnn14", "max_steps=3", "fold=2", "seed=0")


@pytest.mark.parametrize("override", ["fold=1", "++seed=2", "output_dir=x"])
def test_what_crossval_sets_is_refused(tmp_path, override):
    with pytest.raises(RunError, match="cross-validation sets"):
        plan(tmp_path, [override], [0], [0])


def write_run(folder, names, fold, seed, rng):
    truth = np.eye(3, dtype=bool)[rng.integers(3, size=len(names))]
    table = pd.DataFrame({"recording_id": names, "fold": fold, "seed": seed})
    for s in range(3):
        table[f"score_{s}"] = rng.random(len(names), dtype=np.float32)
        table[f"truth_{s}"] = np.array([hash_bit(name, s) for name in names])
        table[f"known_{s}"] = True
    folder.mkdir(parents=True)
    table.to_parquet(folder / "oof.parquet")
    keys = ("lwlrap", "lwlrap_random_floor", "lwlrap_prior_floor", "map", "auc")
    run = {"fold": fold, "metrics": dict.fromkeys(keys, 0.5), "selected": "best, step 3", "train_s": 1.0}
    (folder / "run.json").write_text(json.dumps(run))
    return Launch(folder, ()), truth


def hash_bit(name, s):
    return s == int(name[3:]) % 3


@pytest.fixture
def launches(tmp_path):
    rng = np.random.default_rng(0)
    return [
        write_run(tmp_path / f"s{seed}f{fold}", [f"rec{i}" for i in range(fold, 20, 2)], fold, seed, rng)[0]
        for seed in (0, 1)
        for fold in (0, 1)
    ]


def test_pooled_scores_equal_sklearn_on_all_recordings(launches, tmp_path):
    summary = pool(launches, tmp_path, resamples=50)
    table = pd.read_parquet(tmp_path / "oof.parquet")
    assert len(table) == 40
    for seed in (0, 1):
        rows = table[table["seed"] == seed]
        # One positive per recording: LWLRAP is then the unweighted LRAP.
        expected = label_ranking_average_precision_score(
            rows[[f"truth_{s}" for s in range(3)]], rows[[f"score_{s}" for s in range(3)]]
        )
        assert summary["per_seed"][str(seed)]["lwlrap"] == pytest.approx(expected)
    interval = summary["pooled"]["lwlrap"]
    assert interval["low"] <= interval["value"] <= interval["high"]
    assert summary["recordings"] == 20
    assert json.loads((tmp_path / "crossval.json").read_text())["pooled"]["lwlrap"] == interval
    assert len(pd.read_csv(tmp_path / "crossval.csv")) == 4


def test_mean_over_seeds_averages_scores(launches):
    table = pd.concat([pd.read_parquet(launch.output_dir / "oof.parquet") for launch in launches])
    mean = mean_over_seeds(table)
    rows = table[table["recording_id"] == "rec7"]
    assert mean.loc["rec7", "score_1"] == pytest.approx(rows["score_1"].mean())
    assert mean.loc["rec7", "truth_1"] == (7 % 3 == 1)


def test_intervals_are_repeatable(launches):
    table = pd.concat([pd.read_parquet(launch.output_dir / "oof.parquet") for launch in launches])
    assert summarise(table, resamples=20) == summarise(table, resamples=20)


def test_overlapping_folds_and_missing_runs_are_refused(launches, tmp_path):
    with pytest.raises(RunError, match="was validated in two folds"):
        pool([*launches, launches[0]], tmp_path)
    with pytest.raises(RunError, match=r"no oof.parquet in .*nowhere"):
        pool([Launch(tmp_path / "nowhere", ())], tmp_path)
