"""Planning and pooling of a cross-validation, on hand-made run folders."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import label_ranking_average_precision_score, roc_auc_score

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.crossval import mean_over_seeds, plan, pool, summarize, summary_text
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


def write_run(folder, names, fold, seed, rng, *, complete=True, absent=True):
    table = pd.DataFrame({"recording_id": names, "fold": fold, "seed": seed})
    for s in range(3):
        table[f"score_{s}"] = rng.random(len(names), dtype=np.float32)
        table[f"truth_{s}"] = np.array([hash_bit(name, s) for name in names])
        table[f"known_{s}"] = True if complete else table[f"truth_{s}"]
        table[f"prior_{s}"] = np.float32(0.1 * s + fold)
    folder.mkdir(parents=True)
    table.to_parquet(folder / "oof.parquet")
    rows = [(name, box, box, 0.0, 1.0, hash_bit(name, box)) for name in names for box in range(3)]
    boxes = pd.DataFrame(rows, columns=["recording_id", "box", "species_id", "start_s", "end_s", "present"])
    boxes = boxes[boxes["present"] | absent]
    scores = rng.random(len(boxes), dtype=np.float32)
    boxes.assign(score=scores, fold=fold, seed=seed).to_parquet(folder / "oof_boxes.parquet")
    keys = ("lwlrap", "lwlrap_random_floor", "lwlrap_prior_floor", "map", "auc", "box_auc")
    run = {"fold": fold, "metrics": dict.fromkeys(keys, 0.5), "selected": "best, step 3", "train_s": 1.0}
    (folder / "run.json").write_text(json.dumps(run))
    return Launch(folder, ())


def hash_bit(name, s):
    return s == int(name[3:]) % 3


@pytest.fixture
def make_launches(tmp_path):
    def make(**options):
        rng = np.random.default_rng(0)
        return [
            write_run(
                tmp_path / f"s{seed}f{fold}", [f"rec{i}" for i in range(fold, 20, 2)], fold, seed, rng, **options
            )
            for seed in (0, 1)
            for fold in (0, 1)
        ]

    return make


@pytest.fixture
def launches(make_launches):
    return make_launches()


def read_all(launches, name):
    return pd.concat([pd.read_parquet(launch.output_dir / name) for launch in launches], ignore_index=True)


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


def test_pooled_boxes_equal_sklearn_species_by_species(launches, tmp_path):
    summary = pool(launches, tmp_path, resamples=50)
    table = pd.read_parquet(tmp_path / "oof_boxes.parquet")
    assert len(table) == 120
    for seed in (0, 1):
        rows = table[table["seed"] == seed]
        areas = [roc_auc_score(of["present"], of["score"]) for _, of in rows.groupby("species_id")]
        assert summary["per_seed"][str(seed)]["box_auc"] == pytest.approx(np.mean(areas))
    mean = table.groupby(["recording_id", "species_id", "present"], as_index=False)["score"].mean()
    areas = [roc_auc_score(of["present"], of["score"]) for _, of in mean.groupby("species_id")]
    interval = summary["pooled"]["box_auc"]
    assert interval["value"] == pytest.approx(np.mean(areas))
    assert interval["low"] < interval["value"] < interval["high"]
    assert summary["boxes"] == 60


def test_the_prior_floor_is_that_of_each_fold(launches, tmp_path):
    summary = pool(launches, tmp_path, resamples=10)
    table = pd.read_parquet(tmp_path / "oof.parquet")
    rows = table[table["seed"] == 0]
    expected = label_ranking_average_precision_score(
        rows[[f"truth_{s}" for s in range(3)]], rows[[f"prior_{s}" for s in range(3)]]
    )
    assert summary["lwlrap_prior_floor"] == pytest.approx(expected)


def test_the_table_shows_floors_beside_every_score(launches, tmp_path):
    summary = pool(launches, tmp_path, resamples=10)
    lines = {line.split()[0]: line for line in summary_text(summary).splitlines()[1:]}
    assert set(lines) == {"box_auc", "box_map", "lwlrap", "map", "auc"}
    for name, line in lines.items():
        assert f"{summary['pooled'][name]['value']:.4f}" in line and f"{summary[f'{name}_random_floor']:.4f}" in line
    assert lines["lwlrap"].endswith(f"{summary['lwlrap_prior_floor']:.4f}")


def test_what_nothing_can_judge_is_named_not_perfect(make_launches, tmp_path):
    launches = make_launches(complete=False, absent=False)
    summary = pool(launches, tmp_path, resamples=10)
    assert all(interval["value"] is None for interval in summary["pooled"].values())
    text = summary_text(summary)
    assert "1.0000" not in text
    assert "lwlrap   not judged, which needs complete recordings (data.complete_file)" in text
    assert "box_auc  not judged, which needs absent boxes" in text
    json.loads((tmp_path / "crossval.json").read_text(), parse_constant=pytest.fail)


def test_partial_labels_are_judged_by_their_boxes(make_launches, tmp_path):
    summary = pool(make_launches(complete=False), tmp_path, resamples=10)
    assert summary["pooled"]["lwlrap"]["value"] is None and 0 < summary["pooled"]["box_auc"]["value"] < 1


def test_mean_over_seeds_averages_scores(launches):
    table = read_all(launches, "oof.parquet")
    mean = mean_over_seeds(table, ["recording_id"]).set_index("recording_id")
    rows = table[table["recording_id"] == "rec7"]
    assert mean.loc["rec7", "score_1"] == pytest.approx(rows["score_1"].mean())
    assert mean.loc["rec7", "truth_1"] == (7 % 3 == 1)


def test_intervals_are_repeatable(launches):
    tables = [read_all(launches, name) for name in ("oof.parquet", "oof_boxes.parquet")]
    assert summarize(*tables, resamples=20) == summarize(*tables, resamples=20)


def test_overlapping_folds_and_missing_runs_are_refused(launches, tmp_path):
    with pytest.raises(RunError, match="was validated in two folds"):
        pool([*launches, launches[0]], tmp_path)
    with pytest.raises(RunError, match=r"no oof.parquet in .*nowhere"):
        pool([Launch(tmp_path / "nowhere", ())], tmp_path)
