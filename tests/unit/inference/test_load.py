"""Only a complete model is loaded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.inference.load import load_model, pick_device, split_revision


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


def test_a_revision_follows_the_id_and_paths_have_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "frogs@home").mkdir()
    assert split_revision("USER/NAME@v1.0") == ("USER/NAME", "v1.0")
    assert split_revision("USER/NAME") == ("USER/NAME", None)
    assert split_revision("frogs@home") == ("frogs@home", None)
    for wrong in ("USER/NAME@", "@v1"):
        with pytest.raises(CheckpointError, match="need an id before @ and a revision after it"):
            split_revision(wrong)


def test_the_revision_is_what_is_asked_of_the_hub(monkeypatch):
    asked = []

    def cached_file(name, file, revision, **_):
        asked.append((name, revision))
        raise OSError("offline")

    monkeypatch.setattr("rfcx_ssl.models.stored.cached_file", cached_file)
    for source in ("USER/NAME@abc", "USER/NAME"):
        with pytest.raises(
            CheckpointError, match=rf"model {source}: cannot be loaded \(no usable config.json \(offline\)\)"
        ):
            load_model(source)
    assert asked == [("USER/NAME", "abc"), ("USER/NAME", None)]


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
