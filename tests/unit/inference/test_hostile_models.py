"""A model folder from anywhere: whatever is in it, one line of CheckpointError, no code of it runs, little is allocated."""

import json
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.inference.load import load_model

HUGE, DEEP = 2**40, 10**9
# where in config.json, and what stands there instead
EDITS = [
    ("model_type", "wav2vec2"), ("model_type", None), ("model_type", []), ("unheard_of", 1),
    ("sample_rate_hz", "8000"), ("sample_rate_hz", 0), ("sample_rate_hz", 8000.5), ("sample_rate_hz", 10**12), ("sample_rate_hz", True),
    ("window_samples", -1), ("window_samples", HUGE), ("window_samples", None), ("normalize_waveform", "no"),
    ("windows", []), ("windows", {"overlap": 2}), ("windows", {"window_s": "5"}), ("windows", {"window_s": float("nan")}),
    ("train_prevalence", 1), ("train_prevalence", [2.0]), ("train_prevalence", ["x"]),
    ("species", "all"), ("species", [1]), ("species", [{"name": "a"}]), ("species", [{"colour": "red"}]),
    ("species.0.species_id", 7), ("species.0.species_id", "0"), ("species.0.name", 5), ("species.0.name", ""), ("species.0.f_min_hz", "low"),
    ("output_names", []), ("output_names", "all"), ("output_names.0", 3), ("output_names.1", "s0"),
    ("output_species.0", 24), ("output_species.0", -2), ("output_species.0", 0.5), ("output_species", [0]),
    ("output_songtype.0", "1"), ("output_songtype.0", 1e308),
    ("attn_implementation", "someone/kernels"), ("_attn_implementation", "someone/kernels"),
    ("sed", None), ("sed", "panns"), ("sed", {}), ("sed.kind", "unheard_of"), ("sed.kind", 3), ("sed.unheard_of", 1),
    ("sed.channels", 4), ("sed.channels", ["4", "8"]), ("sed.channels", []), ("sed.channels", [4, HUGE]), ("sed.channels", [4] * 999),
    ("sed.channels", [4, 8000]), ("sed.time_pools", [0, 0]), ("sed.embedding_dim", -8), ("sed.embedding_dim", 8000), ("sed.embedding_dim", 8.5),
    ("sed.mel.n_fft", HUGE), ("sed.mel.n_mels", 0), ("sed.mel.n_mels", HUGE), ("sed.mel", None), ("sed.mel.f_max_hz", float("inf")),
    ("sed.frame_pool", 0), ("sed.frame_pool", "2"), ("sed.window_s", "x"), ("sed.block_dropout", 2), ("sed.mask_time", 5),
    ("sed.head.dropout", None), ("sed.head.pooling", {"kind": "x"}), ("sed.head.classify", {"kind": "prototypes", "per_output": DEEP}),
    ("sed.temporal", {"kind": "gru", "layers": DEEP}), ("sed.temporal", {"kind": "gru", "layers": 1, "dim": HUGE}), ("sed.temporal", []),
    ("sed", {"kind": "spectrogram", "architecture": "hf-hub:someone/model"}), ("sed", {"kind": "spectrogram", "architecture": "local-dir:/tmp"}),
    ("sed", {"kind": "wav2vec2", "encoder": "x"}), ("backbone", 5),
]  # fmt: skip


@pytest.fixture
def copy(model_dir, tmp_path):
    return shutil.copytree(model_dir, tmp_path / "copy")


def put(values, place, new):
    *path, last = [int(part) if part.isdecimal() else part for part in place.split(".")]
    for part in path:
        values = values[part]
    values[last] = new


def refuse(folder):
    with pytest.raises(CheckpointError) as caught:
        load_model(str(folder))
    text = str(caught.value)
    assert text.startswith(f"model {folder}: ") and "\n" not in text and len(text) < 1000
    return text


@pytest.mark.parametrize(("place", "value"), EDITS, ids=str)
def test_a_config_that_breaks_a_rule_is_one_line(copy, place, value):
    config = json.loads((copy / "config.json").read_text())
    put(config, place, value)
    (copy / "config.json").write_text(json.dumps(config))
    refuse(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", '{"a": ' * 99_999, "\0", "{}"])
def test_a_config_that_is_no_object_is_one_line(copy, text):
    (copy / "config.json").write_text(text)
    refuse(copy)


def header(claims, payload=b"", length=None):
    text = json.dumps(claims).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + payload


LIE = {"head.classify.weight": {"dtype": "F32", "shape": [HUGE, 8], "data_offsets": [0, HUGE * 32]}}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x80\x04.", b"PK\x03\x04", header({}), header({}, length=2**63), header({}, length=2**20), header(LIE),
        header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        header({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        header({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}, b"1234"),
        header({"a": 5}), header([]),
    ],
)  # fmt: skip
def test_weights_that_are_no_safetensors_are_one_line(copy, data):
    (copy / "model.safetensors").write_bytes(data)
    refuse(copy)


def test_truncated_weights_are_one_line(copy):
    whole = (copy / "model.safetensors").read_bytes()
    for size in (1, 9, len(whole) // 2, len(whole) - 1):
        (copy / "model.safetensors").write_bytes(whole[:size])
        refuse(copy)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("head.classify.weight", lambda t: t.to(torch.int64), "has type I64"),
        ("head.classify.weight", lambda t: t.bool(), "has type BOOL"),
        ("head.classify.weight", lambda t: t[:-1].contiguous(), "has shape"),
        ("encoder.bn0.num_batches_tracked", lambda t: t.float(), "has type F32"),
        ("head.classify.weight", None, "head.classify.weight is missing"),
        ("unheard_of", lambda t: torch.zeros(1), "unheard_of is one too many"),
    ],
)
def test_every_tensor_is_loaded_or_refused_by_name(copy, name, change, said):
    weights = load_file(copy / "model.safetensors")
    old = weights.pop(name, None)
    if change is not None:
        weights[name] = change(old)
    save_file(weights, copy / "model.safetensors", metadata={"format": "pt"})
    assert said in refuse(copy) and name in refuse(copy)


@pytest.mark.parametrize(
    "places", [{"a": "../outside.safetensors"}, {"a": "/outside.safetensors"}, {"a": 5}, {"a": "gone"}, {}, [], None]
)
def test_an_index_names_files_beside_it(copy, places):
    shutil.copy(copy / "model.safetensors", copy.parent / "outside.safetensors")
    (copy / "model.safetensors").unlink()
    (copy / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    assert "index.json" in refuse(copy)


def test_code_beside_the_model_never_runs(copy, tmp_path):
    mark = tmp_path / "ran"
    (copy / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass Model: ...\nclass Config: ...\n")
    config = json.loads((copy / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    (copy / "config.json").write_text(json.dumps(config))
    load_model(str(copy))  # the classes are ours
    config["model_type"] = "evil"
    (copy / "config.json").write_text(json.dumps(config))
    refuse(copy)
    assert not mark.exists()
