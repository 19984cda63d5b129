"""Features of trained models and of bare encoders are those that the networks themselves tell."""

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel

from rfcx_ssl.errors import CheckpointError, ConfigError
from rfcx_ssl.frames import FrameGrid
from rfcx_ssl.inference.embedder import Heard, open_embedder, sums_of_frames
from rfcx_ssl.inference.load import load_model
from rfcx_ssl.inference.settings import WindowSettings


def noise(rows, samples):
    return 0.1 * torch.randn(rows, samples, generator=torch.Generator().manual_seed(0))


def test_the_mean_of_a_models_frames_is_its_embedding(model_dir):
    embedder, model = open_embedder(str(model_dir), device="cpu"), load_model(str(model_dir))
    assert (embedder.grid, embedder.dim, embedder.layer) == (model.grid, model.embedding_dim, None)
    assert embedder.windows == (2.0, 0.5, "max")
    waveform = noise(3, 16_000)
    features = embedder.frames(waveform)
    assert features.shape == (3, model.grid.num_frames(16_000), model.embedding_dim)
    torch.testing.assert_close(features.mean(dim=1), model(waveform).embedding)
    expected = features[1, 3:7].double().sum(0)
    sums, counts = sums_of_frames(embedder, [Heard(waveform[0], slice(None)), Heard(waveform[1], slice(3, 7))])
    torch.testing.assert_close(sums[1], expected, rtol=1e-5, atol=1e-6)
    assert counts.tolist() == [features.shape[1], 4]


@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2_mel"])
def test_layers_of_a_bare_encoder_are_its_hidden_states(encoder_dir, name):
    source = encoder_dir(name)
    backbone = AutoModel.from_pretrained(source).eval()
    waveform = noise(2, 5120)
    last = open_embedder(str(source), device="cpu")
    hop = last.grid.hop_samples
    assert last.windows == (5.0, 0.0, "max") and last.grid.sample_rate_hz == 32_000 and last.dim == 16
    normalized = waveform if name == "wav2vec2_mel" else (waveform - waveform.mean(1, keepdim=True))
    if name == "wav2vec2":
        normalized = normalized / torch.sqrt(normalized.var(1, correction=0, keepdim=True) + 1e-7)
    receptive = {"wav2vec2": 60, "wav2vec2_mel": hop}[name]
    left = (receptive - hop) // 2
    padded = torch.nn.functional.pad(normalized, (left, receptive - hop - left))
    with torch.no_grad():
        states = backbone(padded, output_hidden_states=True)
    for layer, expected in (
        (None, states.last_hidden_state),
        (0, states.hidden_states[0]),
        (1, states.hidden_states[1]),
    ):
        embedder = open_embedder(str(source), layer=layer, device="cpu")
        assert embedder.layer == layer and embedder.grid == FrameGrid(32_000, hop)
        torch.testing.assert_close(embedder.frames(waveform), expected, rtol=1e-4, atol=1e-5)


def test_a_trained_model_has_the_layers_of_its_encoder(tiny, tmp_path):
    model = tiny("wav2vec2")
    model.save_pretrained(tmp_path / "model")
    embedder = open_embedder(str(tmp_path / "model"), layer=1, windows=WindowSettings(overlap=0.25), device="cpu")
    waveform = noise(1, 4000)
    with torch.no_grad():
        model.encoder.mix = torch.nn.Module()
        model.encoder.mix.forward = lambda states: states[1]
        expected = model.encoder(waveform, 100)
    torch.testing.assert_close(embedder.frames(waveform), expected)
    assert embedder.windows == (0.25, 0.25, "max")


def test_mistakes_are_named(model_dir, encoder_dir, tmp_path):
    with pytest.raises(ConfigError, match="layer=1: only encoders of the wav2vec family"):
        open_embedder(str(model_dir), layer=1, device="cpu")
    source = encoder_dir("wav2vec2")
    with pytest.raises(ConfigError, match=r"layer=3: .* has layers 1 to 2, and 0 before them"):
        open_embedder(str(source), layer=3, device="cpu")
    with pytest.raises(CheckpointError, match=r"nothing: no usable config\.json"):
        open_embedder(str(tmp_path / "nothing"))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"its config\.json has no model_type"):
        open_embedder(str(tmp_path))
    broken = tmp_path / "broken"
    shutil.copytree(source, broken)
    weights = load_file(broken / "model.safetensors")
    name = "feature_projection.projection.bias"
    weights[name][0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=rf"{name} is not finite"):
        open_embedder(str(broken), device="cpu")
