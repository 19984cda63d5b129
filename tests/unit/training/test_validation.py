"""Scores of whole recordings and the numbers made of them."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from rfcx_ssl.training.validation import read_ahead, validation_metrics, write_scores


def test_metrics_are_judged_on_known_cells(toy):
    validation = toy.toy_validation(count=40)
    scores = np.random.default_rng(1).random((40, 3)).astype(np.float32)
    values = validation_metrics(validation, scores)
    known = validation.known
    columns = [(validation.truth[known[:, s], s], scores[known[:, s], s]) for s in range(3)]
    assert values["map"] == pytest.approx(np.mean([average_precision_score(*column) for column in columns]))
    assert values["auc"] == pytest.approx(np.mean([roc_auc_score(*column) for column in columns]))
    hidden = scores.copy()
    hidden[~known] = 0.123
    assert validation_metrics(validation, hidden) == values
    assert values["known_share"] == known.mean()
    assert {"lwlrap/frog", "lwlrap/bird", "lwlrap/bat"} <= set(values)


def test_floors_do_not_listen(toy):
    validation = toy.toy_validation(count=40)
    values = validation_metrics(validation, np.broadcast_to(validation.prevalence, (40, 3)))
    assert values["lwlrap"] == pytest.approx(values["lwlrap_prior_floor"])
    random = [validation_metrics(validation, np.random.default_rng(i).random((40, 3))) for i in range(60)]
    assert np.mean([v["lwlrap"] for v in random]) == pytest.approx(values["lwlrap_random_floor"], abs=0.02)


def test_first_recordings_are_spread(toy):
    validation = toy.toy_validation(count=7)
    few = validation.first(3)
    assert few.recording_ids == ("rec0", "rec3", "rec6")
    np.testing.assert_array_equal(few.truth, validation.truth[[0, 3, 6]])
    assert validation.first(None) is validation
    assert validation.first(7) is validation


@pytest.mark.parametrize("count", [0, 1, 3, 20])
def test_reading_ahead_keeps_the_order(count):
    names = [f"rec{i}" for i in range(count)]
    assert list(read_ahead(names, lambda name: np.array([int(name[3:])]))) == list(
        zip(names, range(count), strict=True)
    )


def test_errors_of_the_reader_come_through():
    def read(name):
        raise OSError(f"{name} is broken")

    with pytest.raises(OSError, match="rec1 is broken"):
        list(read_ahead(["rec1"], read))


def test_scores_file(toy, tmp_path):
    validation = toy.toy_validation()
    scores = np.random.default_rng(1).random((7, 3)).astype(np.float32)
    write_scores(tmp_path / "oof.parquet", validation, scores, fold=2, seed=5)
    table = pd.read_parquet(tmp_path / "oof.parquet")
    assert list(table.columns[:6]) == ["recording_id", "fold", "seed", "score_0", "truth_0", "known_0"]
    np.testing.assert_array_equal(table[["score_0", "score_1", "score_2"]], scores)
    assert set(table["fold"]) == {2}
    assert [path.name for path in tmp_path.iterdir()] == ["oof.parquet"]
