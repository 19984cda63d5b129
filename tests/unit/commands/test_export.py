"""``rfcx-ssl export``: a folder that runs elsewhere, or none at all."""

import argparse
import json

import pytest
import torch
from transformers import AutoModel

from rfcx_ssl.commands.export import add_arguments, run
from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.inference.onnx_scorer import OnnxScorer


def export(*arguments):
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def saved(tiny, tmp_path):
    model = tiny("panns", window_s=0.0625)
    model.save_pretrained(tmp_path / "model")
    return model, tmp_path / "model"


def test_the_folder_holds_the_model_and_its_code(saved, tmp_path):
    """tests/unit/models/test_export_code.py runs such a folder where rfcx-ssl is not installed."""
    model, source = saved
    out = tmp_path / "deep" / "shared"
    export(source, "--out", out)
    assert (out / "rainforest_modeling.py").is_file() and (out / "preprocessor_config.json").is_file()
    assert "rainforest_modeling" in json.loads((out / "config.json").read_text())["auto_map"]["AutoModel"]
    waveform = 0.1 * torch.randn(2, 2000)
    with torch.inference_mode():
        expected = model(waveform).clip_logits
        torch.testing.assert_close(AutoModel.from_pretrained(out)(waveform).clip_logits, expected, rtol=0, atol=0)


@pytest.mark.slow
def test_onnx_and_torchscript_lie_in_a_folder_of_their_own(saved, tmp_path):
    pytest.importorskip("onnxscript")
    export(saved[1], "--out", tmp_path / "shared", "--format", "onnx", "--format", "torchscript")
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {"model.onnx", "model.pt"}
    scorer = OnnxScorer(tmp_path / "shared" / "model.onnx", "shared")
    assert scorer.facts.shortest_samples == 1 and scorer.windows.window_s == 0.0625


def test_mistakes_leave_nothing_behind(saved, tmp_path):
    with pytest.raises(ConfigError, match="exists; choose a new folder"):
        export(saved[1], "--out", saved[1])
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        export(tmp_path / "none", "--out", tmp_path / "shared")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]
