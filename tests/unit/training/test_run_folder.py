"""The run folder: facts before the first step, one owner, no silent overwriting."""

import json
import sys

import pytest
import yaml

from rfcx_ssl.errors import RunError
from rfcx_ssl.training.run_folder import RunFolder, flatten


@pytest.fixture
def folder(tmp_path):
    folder = RunFolder(tmp_path / "run")
    folder.create()
    return folder


def test_everything_is_written_before_the_first_step(toy, folder):
    settings = toy.toy_settings(f"output_dir={folder.path}", "max_steps=5")
    folder.open(settings, {"data": {"sha256": {"train_tp.csv": "abc"}}, "num_parameters": 7})
    record = json.loads((folder.path / "run.json").read_text())
    assert record["data"] == {"sha256": {"train_tp.csv": "abc"}}
    assert record["num_parameters"] == 7
    (session,) = record["sessions"]
    assert session["command"] == sys.argv
    assert session["resumed_from"] is None
    assert session["versions"]["torch"].startswith("2.")
    config = yaml.safe_load((folder.path / "config.yaml").read_text())
    assert config["max_steps"] == 5
    assert config["optim"]["head_lr"] == 1e-3


def test_files_of_the_data_are_written_beside_the_settings(toy, folder):
    settings = toy.toy_settings(f"output_dir={folder.path}", "max_steps=5")
    for _start in range(2):
        folder.open(settings, {"data": {}}, {"labels.csv": "recording_id\nrec00\n"})
        assert (folder.path / "labels.csv").read_bytes() == b"recording_id\nrec00\n"


def test_changed_data_is_refused(toy, folder):
    settings = toy.toy_settings(f"output_dir={folder.path}", "max_steps=5")
    folder.open(settings, {"data": {"sha256": "a"}})
    folder.open(settings, {"data": {"sha256": "a"}})
    with pytest.raises(RunError, match="the data changed since this run started"):
        folder.open(settings, {"data": {"sha256": "b"}})


def test_a_folder_of_something_else_is_refused(toy, folder):
    (folder.path / "thesis.tex").write_text("years of work")
    with pytest.raises(RunError, match=r"holds thesis.tex but no run.json"):
        folder.open(toy.toy_settings(f"output_dir={folder.path}", "max_steps=5"), {"data": {}})
    assert (folder.path / "thesis.tex").read_text() == "years of work"


def test_output_dir_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"output_dir=.*file/run: Not a directory"):
        RunFolder(tmp_path / "file" / "run").create()


def test_lock_is_held_until_it_is_closed(folder):
    held = folder.lock(0.0)
    with pytest.raises(RunError, match="in use by another running process"):
        folder.lock(0.1)
    held.close()
    folder.lock(0.0).close()


def test_flatten():
    assert flatten({"a": {"b": 1, "c": {"d": 2}}, "e": []}) == {"a.b": 1, "a.c.d": 2, "e": []}
