"""An encoder directory from anywhere: one line of CheckpointError, no question on the terminal, little is allocated."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.backbone_rules import check_convolutions

EDITS = [
    ("model_type", "evil"), ("model_type", "bert"), ("model_type", 7), ("model_type", None),
    ("hidden_size", "16"), ("hidden_size", 0), ("hidden_size", 10**9), ("hidden_size", 17), ("hidden_size", 16.0), ("hidden_size", True),
    ("num_hidden_layers", -1), ("num_hidden_layers", 10**9), ("num_attention_heads", 0), ("num_attention_heads", 3),
    ("intermediate_size", 2**40), ("intermediate_size", None), ("hidden_act", "eval"), ("hidden_act", ["gelu"]), ("hidden_act", 5),
    ("conv_dim", 8), ("conv_dim", []), ("conv_dim", [8, 8]), ("conv_dim", [8] * 999), ("conv_dim", ["8"] * 3), ("conv_dim", [8000] * 3),
    ("conv_kernel", [20, 3, 0]), ("conv_kernel", [20, 3, 10**9]), ("conv_stride", [8000] * 3), ("conv_stride", [1.5, 2, 2]),
    ("conv_bias", "yes"), ("num_conv_pos_embeddings", 0), ("num_conv_pos_embedding_groups", 3), ("num_conv_pos_embeddings", 10**8),
    ("feat_extract_norm", "none"), ("feat_extract_activation", "exec"), ("layer_norm_eps", "small"), ("layer_norm_eps", float("nan")),
    ("attn_implementation", "someone/kernels"), ("_attn_implementation", "someone/kernels"), ("quantization_config", {"load_in_8bit": True}),
    ("num_codevectors_per_group", 10**9), ("vocab_size", 10**12), ("initializer_range", -1), ("num_feat_extract_layers", 0),
]  # fmt: skip


@pytest.fixture
def copy(encoder_dir, tmp_path):
    return shutil.copytree(encoder_dir("wav2vec2"), tmp_path / "copy")


def change_config(folder, **values):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def refuse(tiny, folder):
    with pytest.raises(CheckpointError) as caught:
        tiny("wav2vec2", encoder=str(folder))
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("key", "value"), EDITS, ids=str)
def test_a_config_that_breaks_a_rule_is_one_line(tiny, copy, key, value):
    change_config(copy, **{key: value})
    assert key.removeprefix("conv_") in refuse(tiny, copy) or "convolutions" in refuse(tiny, copy)


def test_code_of_an_encoder_is_neither_asked_about_nor_run(tiny, copy, tmp_path, monkeypatch):
    mark = tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Model: ...\nclass Config: ...\n")
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    code = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    change_config(copy, auto_map=code)
    tiny("wav2vec2", encoder=str(copy))  # a family member is what transformers or we have
    change_config(copy, auto_map=code, model_type="evil")
    refuse(tiny, copy)
    assert not mark.exists()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"sampling_rate": "fast"}', '{"sampling_rate": 0}', "{}", '{"sampling_rate": 1e5}']
)
def test_a_preprocessor_without_a_rate_is_one_line(tiny, copy, text):
    (copy / "preprocessor_config.json").write_text(text)
    refuse(tiny, copy)


def rewrite(folder, change):
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


NORM = "encoder.layer_norm.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda w: w.update({NORM: w[NORM].to(torch.int32)}), f"1 tensors of another type, first {NORM}"),
        (lambda w: w.update({NORM: w[NORM] * float("nan")}), f"{NORM} is not finite"),
        (lambda w: w.update({NORM: w[NORM][:-1].clone()}), ""),
        (lambda w: w.update(unheard_of=torch.zeros(1)), "1 tensors unknown, first unheard_of"),
        (lambda w: w.pop(NORM), f"1 tensors missing, first {NORM}"),
    ],
)
def test_every_tensor_is_loaded_or_refused_by_name(tiny, copy, change, said):
    rewrite(copy, change)
    assert said in refuse(tiny, copy)


def test_broken_weights_are_one_line(tiny, copy):
    whole = (copy / "model.safetensors").read_bytes()
    for data in (b"", b"x" * 100, whole[: len(whole) // 2]):
        (copy / "model.safetensors").write_bytes(data)
        refuse(tiny, copy)
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(b"\x80\x04cos\nsystem\n(S'true'\ntR.")
    refuse(tiny, copy)


def test_convolutions_of_the_published_models_pass():
    check_convolutions([(512, 10, 5), *[(512, 3, 2)] * 4, *[(512, 2, 2)] * 2], "x")
    with pytest.raises(CheckpointError, match="convolutions have"):
        check_convolutions([(8192, 10, 5), (8192, 64, 1)], "x")
