import csv
import json

import pytest

from rfcx_ssl.pretraining.log import LogRecord, merge_records, parse_line, read_log, write_metrics

TRAIN = {"epoch": 1, "update": 0.2, "loss": "5.856", "loss_0": "5.848", "num_updates": "10", "gnorm": "1.7"}
VALID = {"epoch": 1, "valid_loss": "5.5", "valid_num_updates": "10", "valid_accuracy": "0.03"}
EPOCH = {"epoch": 1, "train_loss": "5.5", "train_num_updates": "10"}


def test_training_and_validation_lines():
    record = parse_line(json.dumps(TRAIN))
    assert (record.split, record.num_updates, record.values["loss_0"]) == ("train", 10, 5.848)
    record = parse_line(json.dumps(VALID))
    assert (record.split, record.num_updates, record.values["accuracy"]) == ("valid", 10, 0.03)


def test_loss_0_is_the_loss_when_nothing_else_is_weighted():
    record = parse_line(json.dumps({"loss": "2.5", "num_updates": "3"}))
    assert record.values["loss_0"] == 2.5


@pytest.mark.parametrize("line", ["", "{'_name': None}", "Wav2Vec2Model(", '{"a": [1]}', "[1]", json.dumps(EPOCH)])
def test_other_lines_are_passed_over(line):
    assert parse_line(line) is None


def test_a_line_that_is_still_being_written_waits(tmp_path):
    path = tmp_path / "log"
    assert read_log(path) == ([], 0)
    whole = json.dumps(TRAIN) + "\n"
    path.write_text("settings\n" + whole + whole[:30])
    records, position = read_log(path)
    assert [record.num_updates for record in records] == [10]
    path.write_text("settings\n" + whole + whole)
    records, _ = read_log(path, position)
    assert [record.num_updates for record in records] == [10]


def test_a_resumed_run_overwrites_its_updates_and_stays_in_order(tmp_path):
    records = [LogRecord("train", n, {"loss_0": value}) for n, value in ((10, 1.0), (30, 3.0), (20, 2.0), (30, 9.0))]
    merged = merge_records([*records, LogRecord("valid", 10, {"loss": 0.5})])
    assert [(r.num_updates, r.split) for r in merged] == [(10, "train"), (10, "valid"), (20, "train"), (30, "train")]
    assert merged[-1].values["loss_0"] == 9.0
    write_metrics(tmp_path / "metrics.csv", merged)
    with (tmp_path / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["num_updates"] for row in rows] == ["10", "10", "20", "30"]
    assert rows[1]["loss"] == "0.5"
    assert rows[0]["loss"] == ""
