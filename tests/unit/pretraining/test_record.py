import json

import pytest

from rfcx_ssl.errors import RunError
from rfcx_ssl.pretraining.record import record_run


def config(data, layers=2):
    return {"task": {"data": str(data), "normalize": True}, "model": {"encoder_layers": layers}}


def test_each_start_is_recorded_with_its_manifests(tmp_path):
    (tmp_path / "train.tsv").write_text("/\n")
    save_dir = tmp_path / "run"
    save_dir.mkdir()
    record_run(save_dir, config(tmp_path), ["fairseq-hydra-train", "a=1"])
    (save_dir / "checkpoint_last.pt").touch()
    record_run(save_dir, config(tmp_path), ["fairseq-hydra-train", "a=2"])
    run = json.loads((save_dir / "run.json").read_text())
    sessions = run["sessions"]
    assert [session["resumed_from"] for session in sessions] == [None, "checkpoint_last.pt"]
    assert [session["command"][-1] for session in sessions] == ["a=1", "a=2"]
    assert len(run["data"]["sha256"][str(tmp_path / "train.tsv")]) == 64
    assert sessions[0]["data_sha256"] == sessions[1]["data_sha256"]
    assert sessions[0]["versions"]["torch"]


def test_a_virtual_manifest_is_hashed_too(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"rows")
    record_run(tmp_path, config(tmp_path), ["x"])
    run = json.loads((tmp_path / "run.json").read_text())
    assert list(run["data"]["sha256"]) == [str(tmp_path / "train.parquet")]


def test_another_model_cannot_be_resumed_into_the_folder(tmp_path):
    record_run(tmp_path, config(tmp_path), ["x"])
    record_run(tmp_path, config(tmp_path, layers=3), ["x"])  # nothing was trained yet
    (tmp_path / "checkpoint_last.pt").touch()
    record_run(tmp_path, config(tmp_path / "elsewhere", layers=3), ["x"])  # the data may move
    with pytest.raises(RunError, match=r"model\.encoder_layers=3, now it is 4"):
        record_run(tmp_path, config(tmp_path, layers=4), ["x"])
