"""The way back: a transformers encoder becomes a fairseq checkpoint, and nothing is lost on the way."""

import json

import pytest
import torch
from omegaconf import OmegaConf
from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2ForPreTraining, Wav2Vec2Model

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.wav2vec2_mel import Wav2Vec2MelConfig, Wav2Vec2MelForPreTraining, Wav2Vec2MelModel
from rfcx_ssl.pretraining.checkpoint import load_fairseq_checkpoint
from rfcx_ssl.pretraining.convert import encoder_config, fairseq_settings, to_transformers
from rfcx_ssl.pretraining.export_fairseq import export_fairseq
from rfcx_ssl.pretraining.preflight import compose_pretraining
from rfcx_ssl.pretraining.sample_rate import change_sample_rate

pytestmark = pytest.mark.filterwarnings("ignore")
SIZES = {
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 40,
    "conv_dim": [8, 8, 12],
    "conv_kernel": [10, 3, 2],
    "conv_stride": [5, 2, 2],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "num_codevectors_per_group": 6,
    "codevector_dim": 8,
    "proj_codevector_dim": 8,
}
FORMS = {
    "group": {"feat_extract_norm": "group", "do_stable_layer_norm": False, "conv_bias": False},
    "layer": {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
}


@pytest.fixture
def encoder(tmp_path):
    def make(kind=Wav2Vec2Model, rate=16_000, form="layer", **changes):
        torch.manual_seed(2)
        config = Wav2Vec2Config(**(SIZES | FORMS[form] | changes))
        model = kind(config).eval()
        with torch.no_grad():  # norms start at one and zero, which would hide a swapped name
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        model.save_pretrained(tmp_path / "encoder")
        Wav2Vec2FeatureExtractor(sampling_rate=rate, do_normalize=True).save_pretrained(tmp_path / "encoder")
        return model

    return make


@pytest.fixture
def mel_encoder(tmp_path):
    def make(kind=Wav2Vec2MelModel, **mel):
        torch.manual_seed(2)
        sizes = {key: value for key, value in SIZES.items() if not key.startswith("conv_")}
        extractor = {"mel": mel, "channels": [4, 4], "time_strides": [2, 2], "band_strides": [4, 2], "dim": 12}
        model = kind(Wav2Vec2MelConfig(extractor, 32_000, do_stable_layer_norm=True, **sizes)).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        model.save_pretrained(tmp_path / "encoder")
        Wav2Vec2FeatureExtractor(sampling_rate=32_000, do_normalize=False).save_pretrained(tmp_path / "encoder")
        return model

    return make


@pytest.mark.parametrize("kind", [Wav2Vec2MelModel, Wav2Vec2MelForPreTraining])
def test_log_mel_there_and_back_changes_no_bit(mel_encoder, tmp_path, kind):
    model = mel_encoder(kind)
    report = export_fairseq(str(tmp_path / "encoder"), tmp_path / "out")
    checkpoint = load_fairseq_checkpoint(tmp_path / "out" / "checkpoint.pt")
    back = to_transformers(checkpoint, heads=kind is Wav2Vec2MelForPreTraining)
    assert type(back) is kind
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert checkpoint.task == {"_name": "audio_pretraining", "sample_rate": 32_000, "normalize": False}
    assert report["passed"]
    config = compose_pretraining(tmp_path / "out", "continue", ["task.data=x"])
    assert config["model"]["_name"] == "wav2vec2_mel"
    assert config["model"]["mel_extractor"]["dim"] == 12
    assert config["task"]["normalize"] is False
    assert OmegaConf.load(tmp_path / "out" / "continue.yaml").hydra.run.dir == "runs/pretrain/continued"


@pytest.mark.parametrize("new_hz", [48_000, 64_000, 28_800])
def test_log_mel_at_another_rate_hears_the_same_bands(mel_encoder, new_hz):
    """A sum of tones, sampled at both rates: the window of each frame holds the same sound."""
    model = mel_encoder(n_fft=1000, hop_samples=320, n_mels=32, f_max_hz=14_000.0)
    changed = change_sample_rate(model, 32_000, new_hz)
    assert changed.config.sample_rate_hz == new_hz
    assert changed.config.hop_samples / new_hz == model.config.hop_samples / 32_000
    tones_hz = (200.0, 1450.0, 5700.0, 12_000.0)

    def sound(rate_hz):
        time_s = torch.arange(rate_hz, dtype=torch.float64) / rate_hz
        level = 1 + 0.8 * torch.sin(2 * torch.pi * 3 * time_s)
        return sum(level * torch.sin(2 * torch.pi * hz * time_s + hz) for hz in tones_hz).float()[None] * 0.1

    with torch.no_grad():
        ours, theirs = changed(sound(new_hz)), model(sound(32_000))
    for name in ("extract_features", "last_hidden_state"):
        difference = (ours[name] - theirs[name]).square().mean().sqrt() / theirs[name].square().mean().sqrt()
        assert difference < 0.05, name


@pytest.mark.parametrize(
    ("new_hz", "message"), [(44_100, "would be 1411.2 and 441"), (16_000, "hears up to 14000 Hz")]
)
def test_a_rate_that_does_not_fit_the_log_mel_is_refused(mel_encoder, tmp_path, new_hz, message):
    mel_encoder()
    with pytest.raises(CheckpointError, match=f"--sample-rate {new_hz}: .*{message}"):
        export_fairseq(str(tmp_path / "encoder"), tmp_path / "out", sample_rate_hz=new_hz)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", [Wav2Vec2Model, Wav2Vec2ForPreTraining])
def test_there_and_back_changes_no_bit(encoder, tmp_path, form, kind):
    model = encoder(kind, form=form)
    report = export_fairseq(str(tmp_path / "encoder"), tmp_path / "out")
    checkpoint = load_fairseq_checkpoint(tmp_path / "out" / "checkpoint.pt")
    back = to_transformers(checkpoint, heads=kind is Wav2Vec2ForPreTraining)
    for name, tensor in model.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor), name
    assert checkpoint.task == {"_name": "audio_pretraining", "sample_rate": 16_000, "normalize": True}
    assert report["passed"]
    new = {name.split(".")[0] for name in report["random_weights"]}
    assert new == (set() if kind is Wav2Vec2ForPreTraining else {"quantizer", "project_q", "final_proj"})
    assert json.loads((tmp_path / "out" / "parity.json").read_text()) == json.loads(json.dumps(report))


def test_settings_survive_the_way_through_fairseq(encoder, tmp_path):
    model = encoder(Wav2Vec2ForPreTraining)
    export_fairseq(str(tmp_path / "encoder"), tmp_path / "out")
    back = encoder_config(load_fairseq_checkpoint(tmp_path / "out" / "checkpoint.pt"))
    assert fairseq_settings(back) == fairseq_settings(model.config)
    for key in ("conv_dim", "conv_kernel", "conv_stride", "hidden_size", "do_stable_layer_norm", "codevector_dim"):
        assert getattr(back, key) == getattr(model.config, key), key


def test_the_config_starts_from_the_checkpoint_and_composes(encoder, tmp_path):
    encoder()
    export_fairseq(str(tmp_path / "encoder"), tmp_path / "out", sample_rate_hz=32_000)
    config = compose_pretraining(tmp_path / "out", "continue", ["task.data=x", "optimization.max_update=3"])
    assert config["checkpoint"]["finetune_from_model"] == str(tmp_path / "out" / "checkpoint.pt")
    assert config["task"]["sample_rate"] == 32_000
    assert config["model"]["encoder_embed_dim"] == 24
    assert config["model"]["conv_feature_layers"] == "[(8, 20, 10), (8, 3, 2), (12, 2, 2)]"
    shipped = OmegaConf.load(tmp_path / "out" / "continue.yaml")
    assert OmegaConf.is_interpolation(shipped.common, "log_file")


def test_another_rate_gives_the_same_features_on_sound_that_both_rates_carry(encoder):
    model = encoder()
    changed = change_sample_rate(model, 16_000, 32_000)
    assert (changed.config.conv_kernel[0], changed.config.conv_stride[0]) == (20, 10)
    assert model.config.conv_kernel[0] == 10  # the original is left alone
    time_s = torch.arange(32_000, dtype=torch.float64) / 32_000
    sound = sum(torch.sin(2 * torch.pi * hz * time_s + hz) for hz in (200.0, 450.0, 700.0)).float()[None] * 0.3
    # a tone far below both Nyquist rates is its own resampling: samples between those of the lower rate
    low = sum(torch.sin(2 * torch.pi * hz * (time_s[::2] + 0.25 / 16_000) + hz) for hz in (200.0, 450.0, 700.0))
    with torch.no_grad():
        ours = changed(sound).extract_features
        theirs = model(low.float()[None] * 0.3).extract_features
    frames = min(ours.shape[1], theirs.shape[1])
    difference = (ours[:, :frames] - theirs[:, :frames]).square().mean().sqrt() / theirs.square().mean().sqrt()
    assert difference < 0.02


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"add_adapter": True, "output_hidden_size": 24}, "adapters"),
        ({"hidden_act": "tanh"}, "hidden_act='tanh'"),
        ({"conv_dim": [8, 8, 24]}, "no identity"),
    ],
)
def test_what_fairseq_cannot_compute_is_refused(encoder, tmp_path, changes, message):
    encoder(**changes)
    with pytest.raises(CheckpointError, match=message):
        export_fairseq(str(tmp_path / "encoder"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_rate_without_a_whole_stride_is_refused(encoder, tmp_path):
    encoder()
    with pytest.raises(CheckpointError, match=r"--sample-rate 24000: .*steps 5 samples at 16000 Hz"):
        export_fairseq(str(tmp_path / "encoder"), tmp_path / "out", sample_rate_hz=24_000)


def test_what_is_no_encoder_is_one_line(tmp_path):
    with pytest.raises(CheckpointError, match=r"nothing: no usable config\.json"):
        export_fairseq(str(tmp_path / "nothing"), tmp_path / "out")
