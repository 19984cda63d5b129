"""Only a complete model is loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.inference.load import load_model, pick_device


def test_a_saved_model_is_ready_for_use(model_dir):
    model = load_model(str(model_dir))
    assert not model.training and not any(p.requires_grad for p in model.parameters())
    saved = load_file(model_dir / "model.safetensors")
    torch.testing.assert_close(model.head.classify.weight, saved["head.classify.weight"], rtol=0, atol=0)


def test_missing_weights_and_folders_are_errors(model_dir, tmp_path):
    with pytest.raises(CheckpointError, match="nowhere: cannot be loaded"):
        load_model(str(tmp_path / "nowhere"))
    broken = tmp_path / "broken"
    shutil.copytree(model_dir, broken)
    weights = load_file(broken / "model.safetensors")
    del weights["head.classify.weight"]
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        CheckpointError, match=r"1 tensors do not fit its config, first: head.classify.weight is missing"
    ):
        load_model(str(broken))


def test_a_config_of_something_else_is_an_error(model_dir, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model_dir, other)
    config = json.loads((other / "config.json").read_text())
    config["sed"]["channels"] = [4, 16]
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"do not fit its config|cannot be loaded"):
        load_model(str(other))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused_by_name(model_dir, tmp_path, value):
    broken = tmp_path / "broken"
    shutil.copytree(model_dir, broken)
    weights = load_file(broken / "model.safetensors")
    weights["encoder.bn0.running_var"][3] = value
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 tensors are not finite, first encoder\.bn0\.running_var"):
        load_model(str(broken))


def test_the_revision_is_what_is_asked_of_the_hub(monkeypatch):
    asked = []

    def snapshot_download(name, revision, allow_patterns):
        asked.append((name, revision, *allow_patterns))
        raise OSError("no disk")

    monkeypatch.setattr("rfcx_ssl.inference.load.snapshot_download", snapshot_download)
    for source in ("USER/NAME@abc", "USER/NAME"):
        with pytest.raises(CheckpointError, match=rf"model {source}: cannot be loaded \(no disk\)"):
            load_model(source)
    files = ("*.json", "*.safetensors", "*.onnx")  # and nothing that could run
    assert asked == [("USER/NAME", "abc", *files), ("USER/NAME", None, *files)]


def test_every_process_of_a_launch_has_its_own_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert pick_device("auto") == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert pick_device("auto") == torch.device("cuda:3") and pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(CheckpointError, match="'cuda:4': there are 4 CUDA GPUs here"):
        pick_device("cuda:4")


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(CheckpointError, match="'abacus' is none that torch knows"):
        pick_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="sees no CUDA GPU"):
            pick_device("cuda:0")
