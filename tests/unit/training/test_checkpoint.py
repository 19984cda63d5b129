"""Checkpoints are whole or absent."""

import errno

import pytest
import torch

from rfcx_ssl.errors import CheckpointError, RunError
from rfcx_ssl.training.checkpoint import CheckpointFolder, write_file, write_folder
from rfcx_ssl.training.state import Candidate, TrainState


def test_state_and_tensors_come_back(tmp_path):
    folder = CheckpointFolder(tmp_path, keep_last=2)
    state = TrainState(step=7, candidates=[Candidate(5, 0.25)], sums={"loss": 0.1})
    folder.save(state, {"module": {"w": torch.arange(3.0)}})
    loaded, tensors = folder.load_latest()
    assert loaded == state
    assert torch.equal(tensors["module"]["w"], torch.arange(3.0))


def test_the_last_k_are_kept(tmp_path):
    folder = CheckpointFolder(tmp_path, keep_last=2)
    for step in (1, 2, 10):
        folder.save(TrainState(step=step), {})
    assert [path.name for path in folder.steps()] == ["step_0000002", "step_0000010"]
    assert folder.load_latest()[0].step == 10


def test_failed_write_leaves_what_was_there(tmp_path, monkeypatch):
    folder = CheckpointFolder(tmp_path, keep_last=1)
    folder.save(TrainState(step=1), {"x": torch.ones(2)})

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("rfcx_ssl.files._sync", full)
    with pytest.raises(RunError, match=r"step_0000002: No space left on device; earlier checkpoints are intact"):
        folder.save(TrainState(step=2), {"x": torch.ones(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["step_0000001"]
    assert folder.load_latest()[0].step == 1


def test_failing_torch_save_is_a_full_disk(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("basic_ios::clear: iostream error")  # what torch 2.11 says

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(RunError, match=r"MB free on the disk \(basic_ios::clear: iostream error\)"):
        CheckpointFolder(tmp_path, 1).save(TrainState(step=2), {})
    assert not list(tmp_path.iterdir())


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(RunError, match="gone is gone: cannot write step_1"):
        write_folder(tmp_path / "gone" / "step_1", lambda partial: None)
    with pytest.raises(RunError, match=r"cannot write .*file.json: No such file"):
        write_file(tmp_path / "gone" / "file.json", "{}")


def test_damaged_checkpoint_is_named(tmp_path):
    folder = CheckpointFolder(tmp_path, 1)
    path = folder.save(TrainState(step=3), {"x": torch.ones(2)})
    (path / "tensors.pt").write_bytes(b"PK not a zip")
    with pytest.raises(CheckpointError, match=r"step_0000003: .*remove the folder to go on from the one before"):
        folder.load_latest()


def test_code_in_a_checkpoint_is_not_run(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("boo",))

    folder = CheckpointFolder(tmp_path, 1)
    folder.save(TrainState(step=3), {"x": Evil()})
    with pytest.raises(CheckpointError, match="step_0000003"):
        folder.load_latest()


def test_left_overs_are_no_checkpoints(tmp_path):
    (tmp_path / ".step_0000004.17.tmp").mkdir()
    folder = CheckpointFolder(tmp_path, 1)
    assert folder.load_latest() is None
