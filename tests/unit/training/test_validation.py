"""Scores of whole recordings and of boxes, which of them choose the best weights, and what is written of them."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from rfcx_ssl.errors import ConfigError
from rfcx_ssl.training.validation import Scores, read_ahead


def random_scores(validation, seed=1):
    rng = np.random.default_rng(seed)
    judged = validation.judged
    boxes = sum(map(len, judged.boxes))
    shapes = (judged.truth.shape, boxes, judged.truth.shape)
    return Scores(*(rng.random(shape).astype(np.float32) for shape in shapes))


def test_metrics_of_recordings_are_judged_on_known_cells(toy):
    validation = toy.toy_validation(count=40)
    scores = random_scores(validation)
    values = validation.metrics(scores)
    truth, known = validation.judged.truth, validation.judged.known
    columns = [(truth[known[:, s], s], scores.recordings[known[:, s], s]) for s in range(3)]
    assert values["map"] == pytest.approx(np.mean([average_precision_score(*column) for column in columns]))
    assert values["auc"] == pytest.approx(np.mean([roc_auc_score(*column) for column in columns]))
    hidden = scores.recordings.copy()
    hidden[~known] = 0.123
    assert validation.metrics(scores._replace(recordings=hidden)) == values
    assert values["known_share"] == known.mean()
    assert {"lwlrap/frog", "lwlrap/bird", "lwlrap/bat"} <= set(values)


def test_floors_do_not_listen(toy):
    validation = toy.toy_validation(count=40)
    silent = random_scores(validation)._replace(recordings=np.broadcast_to(validation.prior, (40, 3)))
    values = validation.metrics(silent)
    assert values["lwlrap"] == pytest.approx(values["lwlrap_prior_floor"])
    random = [validation.metrics(random_scores(validation, i)) for i in range(60)]
    for name in ("lwlrap", "map", "auc", "box_map", "box_auc"):
        assert np.mean([v[name] for v in random]) == pytest.approx(values[f"{name}_random_floor"], abs=0.02)


def test_metrics_of_boxes_equal_sklearn_species_by_species(toy):
    validation = toy.toy_validation(count=40)
    scores = random_scores(validation)
    values = validation.metrics(scores)
    boxes = [box for of_recording in validation.judged.boxes for box in of_recording]
    assert len(boxes) == 120
    areas, precisions = {}, []
    for species, name in enumerate(validation.space.species_names):
        rows = [i for i, box in enumerate(boxes) if box.species_id == species]
        column = [boxes[i].present for i in rows], scores.boxes[rows]
        areas[f"box_auc/{name}"] = roc_auc_score(*column)
        precisions.append(average_precision_score(*column))
    assert {key: values[key] for key in areas} == pytest.approx(areas)
    assert values["box_auc"] == pytest.approx(np.mean(list(areas.values())))
    assert values["box_map"] == pytest.approx(np.mean(precisions))


def test_a_box_scores_as_its_best_frame(toy, monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    validation = toy.toy_validation()
    torch.manual_seed(0)
    model = toy.ToyModel()
    scores = validation.score(model, toy.make_accelerator(toy.toy_settings("output_dir=x", "max_steps=1")))
    assert model.training
    weights = {name: value.double().numpy() for name, value in model.state_dict().items()}
    position = 0
    for row, name in enumerate(validation.judged.recording_ids):
        waveform = validation.source.read(name).astype(np.float64)
        frames = []
        for frame in range(toy.FRAMES):
            samples = waveform[frame * toy.HOP : (frame + 1) * toy.HOP]
            hidden = np.tanh(weights["encoder.0.weight"] @ samples + weights["encoder.0.bias"])
            frames.append(1 / (1 + np.exp(-(weights["head.weight"] @ hidden + weights["head.bias"]))))
        for species in range(3):
            assert scores.recordings[row, species] == pytest.approx(max(f[species] for f in frames), rel=1e-5)
        for box in validation.judged.boxes[row]:
            best = max(frames[frame][box.species_id] for frame in box.frames)
            assert scores.boxes[position] == pytest.approx(best, rel=1e-5)
            position += 1
    assert position == len(scores.boxes)


def everything_known(truth):
    return np.ones_like(truth)


def present_only(truth):
    return truth


def no_boxes(truth):
    return tuple(() for _ in truth)


def present_boxes(toy):
    return lambda truth: tuple(tuple(b for b in boxes if b.present) for boxes in toy.toy_boxes(truth))


def test_partial_labels_choose_by_boxes_and_complete_ones_by_recordings(toy):
    assert toy.toy_validation(known=everything_known).select_metric("auto") == "lwlrap"
    assert toy.toy_validation(known=present_only).select_metric("auto") == "box_auc"
    assert toy.toy_validation().select_metric("auto") == "box_auc"
    assert toy.toy_validation(boxes=no_boxes).select_metric("auto") == "lwlrap"  # some recordings are complete
    assert toy.toy_validation().select_metric("box_auc/frog") == "box_auc/frog"


def test_an_absent_box_is_no_judgement_of_its_recording(toy):
    # Each species is called absent in a box of every recording without it: nothing follows for the recording.
    validation = toy.toy_validation(count=40, known=present_only)
    values = validation.metrics(random_scores(validation))
    assert all(np.isnan(values[name]) for name in ("lwlrap", "map", "auc", "lwlrap_random_floor", "lwlrap/frog"))
    assert 0 < values["box_auc"] < 1


def test_positives_alone_are_judged_by_nothing(toy):
    validation = toy.toy_validation(count=20, known=present_only, boxes=present_boxes(toy))
    values = validation.metrics(random_scores(validation))
    assert not [name for name, value in values.items() if value == 1.0]
    assert all(np.isnan(v) for name, v in values.items() if name != "known_share")
    assert validation.select_metric("auto") is None
    summary = validation.summary()
    assert "absent boxes of a species that has present ones (train_fp.csv" in summary
    assert "complete recordings (data.complete_file)" in summary
    with pytest.raises(ConfigError, match=r"select_metric=lwlrap is not defined .* complete recordings \(data.comple"):
        validation.select_metric("lwlrap")
    with pytest.raises(ConfigError, match=r"select_metric=box_map is not defined .* absent boxes"):
        validation.select_metric("box_map")


def test_the_summary_counts_what_is_judged(toy):
    validation = toy.toy_validation(count=5, known=everything_known)
    present = int(validation.judged.truth.sum())
    assert f"5 validation recordings: {present} present and {15 - present} absent boxes" in validation.summary()
    assert validation.summary().endswith("; 5 complete recordings")


def test_first_recordings_are_spread(toy):
    validation = toy.toy_validation(count=7)
    few = validation.first(3)
    assert few.judged.recording_ids == ("rec0", "rec3", "rec6")
    np.testing.assert_array_equal(few.judged.truth, validation.judged.truth[[0, 3, 6]])
    assert few.judged.boxes[1] == validation.judged.boxes[3]
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


def test_scores_files(toy, tmp_path):
    validation = toy.toy_validation()
    scores = random_scores(validation)
    validation.write(tmp_path, scores, fold=2, seed=5)
    table = pd.read_parquet(tmp_path / "oof.parquet")
    assert list(table.columns[:7]) == ["recording_id", "fold", "seed", "score_0", "truth_0", "known_0", "prior_0"]
    np.testing.assert_array_equal(table[["score_0", "score_1", "score_2"]], scores.recordings)
    np.testing.assert_array_equal(table[["peak_0", "peak_1", "peak_2"]], scores.peaks)
    np.testing.assert_array_equal(table[["prior_0", "prior_1", "prior_2"]].iloc[3], validation.prior)
    assert set(table["fold"]) == {2}
    boxes = pd.read_parquet(tmp_path / "oof_boxes.parquet")
    assert len(boxes) == 21
    np.testing.assert_array_equal(boxes["score"], scores.boxes)
    row = boxes[(boxes["recording_id"] == "rec3") & (boxes["box"] == 1)].iloc[0]
    assert (row["species_id"], row["present"]) == (1, validation.judged.truth[3, 1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["oof.parquet", "oof_boxes.parquet"]


def test_a_file_without_boxes_still_has_its_columns(toy, tmp_path):
    validation = toy.toy_validation(boxes=no_boxes)
    validation.write(tmp_path, random_scores(validation), fold=0, seed=0)
    table = pd.read_parquet(tmp_path / "oof_boxes.parquet")
    assert len(table) == 0 and table["species_id"].dtype == np.int64 and table["score"].dtype == np.float32
