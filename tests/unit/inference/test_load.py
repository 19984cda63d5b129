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
    with pytest.raises(CheckpointError, match=r"1 tensors do not fit its config, first head.classify.weight"):
        load_model(str(broken))


def test_a_config_of_something_else_is_an_error(model_dir, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(model_dir, other)
    config = json.loads((other / "config.json").read_text())
    config["sed"]["channels"] = [4, 16]
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"do not fit its config|cannot be loaded"):
        load_model(str(other))


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(CheckpointError, match="'abacus' is none that torch knows"):
        pick_device("abacus")
    if not torch.cuda.is_available():
        with pytest.raises(CheckpointError, match="sees no CUDA GPU"):
            pick_device("cuda:0")
