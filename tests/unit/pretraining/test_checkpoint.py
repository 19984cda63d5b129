import argparse
import hashlib
import os
import sys
import types

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint, parse_conv_layers

MODEL = {"_name": "wav2vec2", "conv_feature_layers": "[(8, 4, 2)]", "encoder_layers": 2}


@pytest.mark.parametrize(
    "spec",
    [
        "[(512, 10, 5)] + [(512, 3, 2)] * 4 + [(512,2,2)] + [(512,2,2)]",
        "[(64, 20, 10)] + [(64, 3, 2)] * 4 + [(64, 2, 2)] * 2",
        " 2 * [(8, 4, 2)] ",
        "[[8, 4, 2], (16, 3, 1)]",
    ],
)
def test_conv_layers_are_what_python_makes_of_the_expression(spec):
    assert parse_conv_layers(spec) == [tuple(layer) for layer in eval(spec.strip())]


@given(st.lists(st.tuples(*[st.integers(1, 600)] * 3), min_size=1, max_size=8))
@settings(deadline=None, max_examples=20)
def test_conv_layers_round_trip_through_repr(layers):
    assert parse_conv_layers(repr(layers)) == layers


@pytest.mark.parametrize(
    "spec",
    [
        "__import__('os').system('true')",
        "[(8, 4, 2)] * 10**9",
        "[(8, 4, 2)] * 65",
        "[(x, 4, 2)]",
        "[(8, 4)]",
        "[(8, 4, 0)]",
        "[(8, 4, True)]",
        "[(8, 4.0, 2)]",
        "[]",
        "8",
        "[(8, 4, 2)",
    ],
)
def test_anything_but_a_list_of_layers_is_refused(spec):
    with pytest.raises(CheckpointError, match="conv_feature_layers"):
        parse_conv_layers(spec)


def test_plain_checkpoint(tmp_path):
    path = tmp_path / "plain.pt"
    weights = {"layer_norm.weight": torch.arange(3, dtype=torch.bfloat16)}
    task = {"sample_rate": 32000}
    history = [{"num_updates": 3}, {"num_updates": 7}]
    torch.save({"model": weights, "cfg": {"model": MODEL, "task": task}, "optimizer_history": history}, path)
    checkpoint = load_fairseq_checkpoint(path)
    assert checkpoint.model == MODEL
    assert checkpoint.task == task
    assert checkpoint.num_updates == 7
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.weights["layer_norm.weight"].dtype == torch.float32


@pytest.mark.parametrize("zipped", [True, False])
def test_namespace_of_old_fairseq(tmp_path, zipped):
    args = argparse.Namespace(arch="wav2vec2", sample_rate=16000, normalize=True, **MODEL)
    path = tmp_path / "old.pt"
    torch.save({"model": {}, "args": args}, path, _use_new_zipfile_serialization=zipped)
    checkpoint = load_fairseq_checkpoint(path)
    assert checkpoint.model["conv_feature_layers"] == MODEL["conv_feature_layers"]
    assert checkpoint.task["sample_rate"] == 16000


def test_omegaconf_settings_become_plain(tmp_path):
    model = MODEL | {"latent_temp": [2.0, 0.5, 0.999], "target": None, "nested": {"a": "b"}}
    path = tmp_path / "omegaconf.pt"
    torch.save({"model": {}, "cfg": OmegaConf.create({"model": model, "task": {"sample_rate": 16000}})}, path)
    assert load_fairseq_checkpoint(path).model == model


class Choice:
    """Pickles under a fairseq name, the way fairseq's enums do: a call of the class with the value."""

    def __init__(self, value):
        self.value = value

    def __reduce__(self):
        return type(self), (self.value,)


def test_fairseq_enums_become_their_value_and_fairseq_is_not_imported(tmp_path, monkeypatch):
    fake = types.ModuleType("fairseq.dataclass.constants")
    fake.Choice = Choice
    monkeypatch.setattr(Choice, "__module__", fake.__name__)
    path = tmp_path / "enum.pt"
    with monkeypatch.context() as patch:
        for name in ("fairseq", "fairseq.dataclass"):
            patch.setitem(sys.modules, name, types.ModuleType(name))
        patch.setitem(sys.modules, fake.__name__, fake)
        torch.save({"model": {}, "cfg": {"model": MODEL | {"extractor_mode": Choice("layer_norm")}, "task": {}}}, path)
    assert load_fairseq_checkpoint(path).model["extractor_mode"] == "layer_norm"


class Attack:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_hostile_checkpoint_is_refused_and_runs_nothing(tmp_path, zipped):
    path, proof = tmp_path / "hostile.pt", tmp_path / "pwned"
    torch.save({"model": {}, "cfg": Attack(proof)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r"hostile\.pt"):
        load_fairseq_checkpoint(path)
    assert not proof.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "no 'model' entry"),
        ([1, 2], "no 'model' entry"),
        ({"model": {}, "cfg": {"model": {"_name": "hubert"}}}, "model._name='hubert'"),
        ({"model": {}}, "model._name='unknown'"),
    ],
)
def test_another_kind_of_file_is_named(tmp_path, content, message):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        load_fairseq_checkpoint(path)


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", b"PK\x03\x04 broken zip"])
def test_a_damaged_file_is_named(tmp_path, data):
    path = tmp_path / "damaged.pt"
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"damaged\.pt"):
        load_fairseq_checkpoint(path)


def test_a_truncated_checkpoint_is_named(tmp_path):
    path = tmp_path / "truncated.pt"
    torch.save({"model": {"w": torch.zeros(1000)}, "cfg": {"model": MODEL, "task": {}}}, path)
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(CheckpointError, match=r"truncated\.pt"):
        load_fairseq_checkpoint(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="no such file"):
        load_fairseq_checkpoint(tmp_path / "absent.pt")
