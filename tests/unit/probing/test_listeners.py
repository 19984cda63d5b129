import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel, AutoModelForPreTraining, Wav2Vec2FeatureExtractor

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.pretraining.convert import to_fairseq
from rfcx_ssl.probing.listeners import MelListener, check_there, open_encoder


@pytest.fixture
def noise():
    return torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, 5120 * 3).astype(np.float32))


def test_every_kind_of_encoder_gives_rows_of_all_layers(encoder_dir, backbone_name, noise):
    listener = open_encoder(str(encoder_dir(backbone_name))).listener
    assert listener.hop_samples == 5120  # 160 ms: 128 frames of 40 samples
    rows = listener(noise)
    assert rows.shape == (3, listener.width)
    assert listener.num_states == 3
    assert not rows.requires_grad


def test_rows_are_means_of_what_transformers_computes(encoder_dir, noise):
    folder = encoder_dir("wav2vec2")
    listener = open_encoder(str(folder)).listener
    backbone = AutoModel.from_pretrained(folder).eval()
    encoder = listener.encoder
    scaled = (noise - noise.mean()) / torch.sqrt(noise.var(correction=0) + encoder.normalize_eps)
    left = (encoder.receptive_samples - encoder.hop_samples) // 2
    right = encoder.receptive_samples - encoder.hop_samples - left
    with torch.no_grad():
        padded = F.pad(scaled, (left, right))[None]
        states = backbone(padded, output_hidden_states=True).hidden_states
        extracted = backbone.feature_extractor(padded)[0].T
    expected = torch.cat([extracted, *(state[0] for state in states)], dim=1).reshape(3, 128, -1).mean(dim=1)
    torch.testing.assert_close(listener(noise), expected, rtol=1e-4, atol=1e-5)


def test_random_weights_share_the_architecture_and_differ_by_seed(encoder_dir):
    listener = open_encoder(str(encoder_dir("wav2vec2_mel"))).listener
    one, same, other = (listener.with_random_weights(seed) for seed in (0, 0, 1))
    assert one.architecture == other.architecture == listener.architecture
    assert one.key == same.key
    assert len({one.key, other.key, listener.key}) == 3


def test_a_fairseq_checkpoint_is_the_encoder_it_holds(tmp_path, noise):
    model = AutoModelForPreTraining.from_config(_config())
    Wav2Vec2FeatureExtractor(sampling_rate=32_000, do_normalize=True).save_pretrained(tmp_path / "encoder")
    model.config.rfcx_ssl = {"normalize_eps": 1e-5}
    model.save_pretrained(tmp_path / "encoder")
    state = {
        "model": to_fairseq(model),
        "cfg": {"model": FAIRSEQ, "task": {"sample_rate": 32_000, "normalize": True}},
        "optimizer_history": [{"num_updates": 70}],
    }
    torch.save(state, tmp_path / "checkpoint_1.pt")
    plain, converted = open_encoder(str(tmp_path / "encoder")), open_encoder(str(tmp_path / "checkpoint_1.pt"))
    assert (plain.name, plain.num_updates) == ("encoder", None)
    assert (converted.name, converted.num_updates) == ("checkpoint_1, 70 updates", 70)
    torch.testing.assert_close(converted.listener(noise), plain.listener(noise))
    assert converted.listener.quantizer.num_groups == 2
    torch.testing.assert_close(converted.listener.codes(noise), plain.listener.codes(noise))


def test_mel_rows_show_where_a_tone_is():
    listener = MelListener(32_000, 5120)
    time_s = torch.arange(5120 * 2) / 32_000
    low, high = (listener(torch.sin(2 * torch.pi * hz * time_s))[1] for hz in (500, 8000))
    assert low.shape == (64,)
    assert low.argmax() < 15 < 45 < high.argmax()
    assert listener.key == MelListener(32_000, 5120).key != MelListener(32_000, 640).key


@pytest.mark.parametrize("hop", [640, 5120, 2560, 4999])
def test_mel_frames_divide_any_hop(hop):
    assert MelListener(32_000, hop)(torch.zeros(3 * hop)).shape == (3, 64)


def test_missing_encoders_are_said_in_a_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"gone\.pt: no such checkpoint"):
        check_there(str(tmp_path / "gone.pt"))
    with pytest.raises(CheckpointError, match=r"no usable config\.json"):
        open_encoder(str(tmp_path))


FAIRSEQ = {
    "_name": "wav2vec2",
    "conv_feature_layers": "[(8, 20, 10)] + [(8, 4, 4)] * 2",
    "extractor_mode": "layer_norm",
    "layer_norm_first": True,
    "conv_bias": True,
    "encoder_layers": 2,
    "encoder_embed_dim": 12,
    "encoder_ffn_embed_dim": 20,
    "encoder_attention_heads": 2,
    "final_dim": 8,
    "latent_vars": 6,
    "latent_groups": 2,
    "conv_pos": 8,
    "conv_pos_groups": 2,
}


def _config():
    from pathlib import Path

    from rfcx_ssl.pretraining.checkpoint import FairseqCheckpoint
    from rfcx_ssl.pretraining.convert import encoder_config

    torch.manual_seed(0)
    task = {"sample_rate": 32_000, "normalize": True}
    return encoder_config(FairseqCheckpoint(Path("some.pt"), "0" * 64, {}, FAIRSEQ, task, 5))
