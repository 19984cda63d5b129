"""A fairseq checkpoint from anywhere: settings and tensors that break a rule are one line of CheckpointError."""

import io
import zipfile

import pytest
import torch

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint, parse_conv_layers
from rfcx_ssl.pretraining.convert import encoder_config, feature_extractor, to_fairseq, to_transformers

MODEL = {
    "_name": "wav2vec2", "conv_feature_layers": "[(8, 20, 10)] + [(8, 3, 2)] * 2", "encoder_layers": 2, "encoder_embed_dim": 12,
    "encoder_ffn_embed_dim": 20, "encoder_attention_heads": 2, "final_dim": 8, "latent_vars": 6, "latent_groups": 2, "conv_pos": 8,
    "conv_pos_groups": 2,
}  # fmt: skip
TASK = {"sample_rate": 32_000, "normalize": True}
WHOLE = ("encoder_layers", "encoder_embed_dim", "encoder_ffn_embed_dim", "encoder_attention_heads", "conv_pos", "conv_pos_groups", "latent_vars",
         "latent_groups", "num_negatives", "mask_length", "final_dim", "latent_dim")  # fmt: skip
BROKEN = (
    [{key: value} for key in WHOLE for value in ("x", -1, 2.5, [1], 10**12, True)]
    + [{key: value} for key in ("dropout", "dropout_input", "encoder_layerdrop", "mask_prob") for value in ("x", 2, float("nan"), None, [0.1])]
    + [{key: value} for key in ("layer_norm_first", "conv_bias") for value in ("no", 1, None, [])]
    + [{"activation_fn": value} for value in ("exec", 5, None, ["gelu"], {})]
    + [{"extractor_mode": value} for value in ("x", 5, None, ["default"])]
    + [{"logit_temp": value} for value in (0, "x", float("inf"))]
    + [{"_name": value} for value in (5, ["wav2vec2"], "hubert", {})]
    + [{"conv_feature_layers": value} for value in (5, None, [], "[(8192, 64, 2)] * 9", "[(8, 3, 2)] * 30", "()", "[(1, 1, 1)" * 999)]
    + [{"_name": "wav2vec2_mel", "mel_extractor": value} for value in (5, [], {"x": 1}, {"dim": "x"}, {"mel": {"n_fft": 2**40}}, {"channels": [2**30] * 3})]
    + [{"encoder_embed_dim": 13}, {"encoder_attention_heads": 5}, {"conv_pos_groups": 5}, {"layer_type": "conformer"}]
)  # fmt: skip


def save(path, model=None, task=None, weights=None, **more):
    torch.save(
        {"model": weights or {}, "cfg": {"model": MODEL | (model or {}), "task": TASK | (task or {})}, **more}, path
    )
    return path


def refuse(path):
    with pytest.raises(CheckpointError) as caught:
        checkpoint = load_fairseq_checkpoint(path)
        feature_extractor(checkpoint)
        to_transformers(checkpoint)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000
    return str(caught.value)


@pytest.mark.parametrize("changes", BROKEN, ids=lambda changes: str(changes)[:60])
def test_a_setting_that_breaks_a_rule_is_named(tmp_path, changes):
    path = save(tmp_path / "some.pt", changes)
    with pytest.raises(CheckpointError, match=r"some\.pt: |conv_feature_layers=") as caught:
        encoder_config(load_fairseq_checkpoint(path))
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "task", [{"sample_rate": value} for value in ("32k", 0, -1, 1.5, None, [], 10**12)] + [{"normalize": "yes"}]
)
def test_a_task_that_breaks_a_rule_is_named(tmp_path, task):
    assert "task." in refuse(save(tmp_path / "some.pt", task=task))


@pytest.mark.parametrize(
    "content",
    [
        {},
        [],
        5,
        {"model": 5},
        {"model": {}},
        {"model": {}, "cfg": 5},
        {"model": {}, "cfg": {"model": []}},
        {"model": {}, "args": "x"},
    ],
)
def test_a_file_without_settings_is_one_line(tmp_path, content):
    torch.save(content, tmp_path / "some.pt")
    refuse(tmp_path / "some.pt")


NAME = "encoder.layer_norm.weight"


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        (NAME, torch.ones(12, dtype=torch.int64), f"{NAME} of type torch.int64"),
        (NAME, torch.ones(12, dtype=torch.complex64), f"{NAME} of type torch.complex64"),
        (NAME, torch.ones(12) * float("inf"), f"{NAME} is not finite"),
        (NAME, torch.ones(1).expand(10**12), "no plain tensor"),
        (NAME, torch.ones(12).to_sparse(), "no plain tensor"),
        (NAME, torch.ones(3), "has shape (3,), needs (12,)"),
        (NAME, "ones", "must be a tensor, is a str"),
        (NAME, None, "must be a tensor, is a NoneType"),
        (5, torch.ones(1), "model[5] must be a tensor"),
        ("unheard_of", torch.ones(1), "unheard_of is unknown"),
    ],
)  # fmt: skip
def test_every_tensor_is_loaded_or_refused_by_name(tmp_path, name, tensor, said):
    torch.manual_seed(0)
    good = load_fairseq_checkpoint(save(tmp_path / "good.pt"))
    whole = to_fairseq(type(to_model(good))(encoder_config(good)))
    assert said in refuse(save(tmp_path / "some.pt", weights=whole | {name: tensor}))


def to_model(checkpoint):
    from transformers import Wav2Vec2Model

    return Wav2Vec2Model(encoder_config(checkpoint))


@pytest.mark.parametrize("history", [5, "abc", [5], [{"num_updates": "many"}], {}, None])
def test_a_history_that_means_nothing_counts_no_updates(tmp_path, history):
    assert load_fairseq_checkpoint(save(tmp_path / "some.pt", optimizer_history=history)).num_updates == 0


def test_files_that_are_no_checkpoints_are_one_line(tmp_path):
    whole = save(tmp_path / "good.pt").read_bytes()
    empty_zip = io.BytesIO()
    zipfile.ZipFile(empty_zip, "w").close()
    for data in (
        b"",
        b"\x80",
        whole[: len(whole) // 2],
        whole[:-30],
        b"PK\x03\x04" + bytes(100),
        empty_zip.getvalue(),
        b"\x80\x04N.",
    ):
        (tmp_path / "some.pt").write_bytes(data)
        refuse(tmp_path / "some.pt")


@pytest.mark.parametrize(
    "spec",
    ["[(1,1,1)]*64*64*64*64*64", "([(1,1,1)]*64+[(1,1,1)]*64)*64*64", "(" * 9999, "[(1,1,1)]+" * 500, "[(8, 9999999, 2)]", "'x'*64*64", "\0", "-1", "[()]"],
)  # fmt: skip
def test_convolutions_that_multiply_are_refused_before_they_are_made(spec):
    with pytest.raises(CheckpointError, match="conv_feature_layers"):
        parse_conv_layers(spec)
