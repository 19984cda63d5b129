"""Our PANNs against the published implementation (panns-inference), weight for weight."""

import dataclasses
import importlib.util
import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from rfcx_ssl.errors import CheckpointError
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.head import HeadSettings
from rfcx_ssl.models.mel import MelSettings, PowerMel, power_to_db
from rfcx_ssl.models.panns import PannsEncoder, PannsSettings
from rfcx_ssl.models.panns_checkpoint import load_panns_encoder, read_panns_checkpoint
from rfcx_ssl.models.pooling import MaxPoolingSettings
from rfcx_ssl.species import label_space, rfcx_species

NUM_SAMPLES = 2 * 10240
CENTERED = MelSettings(alignment="center")


@pytest.fixture(scope="module")
def published() -> types.ModuleType:
    """``panns_inference.models`` by file location: importing the package itself starts a download."""
    pytest.importorskip("torchlibrosa")
    found = importlib.util.find_spec("panns_inference")
    if found is None or not found.submodule_search_locations:
        pytest.skip("panns-inference is not installed")
    folder = Path(found.submodule_search_locations[0])
    package = types.ModuleType("published_panns")
    package.__path__ = [str(folder)]
    sys.modules["published_panns"] = package
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("published_panns.models")


@pytest.fixture(scope="module")
def oracle(published) -> nn.Module:
    return _published_model(published, "Cnn14_DecisionLevelMax", 24)


def _published_model(published: types.ModuleType, name: str, num_classes: int) -> nn.Module:
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = getattr(published, name)(32000, 1024, 320, 64, 50, 14000, num_classes).eval()
    for module in model.modules():  # untrained batch norms would hide a wrong order of operations
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0.0, 0.1)
    model.bn0.running_mean.uniform_(-60, -20)
    model.bn0.running_var.uniform_(50, 200)
    return model


def _waveform() -> torch.Tensor:
    return torch.randn(2, NUM_SAMPLES, generator=torch.Generator().manual_seed(1)) * 0.1


def _copy(linear: nn.Linear, state: dict[str, torch.Tensor], published: str) -> None:
    """A published class layer into ours; 1x1 convolutions (K, D, 1) are linear layers (K, D)."""
    linear.load_state_dict({key: state[f"{published}.{key}"].squeeze(-1) for key in ("weight", "bias")})


def test_decision_level_max_equals_published(oracle):
    head = HeadSettings(pooling=MaxPoolingSettings())
    model = build_model(PannsSettings(mel=CENTERED, head=head), label_space(rfcx_species())).eval()
    load_panns_encoder(model.encoder, oracle.state_dict(), "published")
    _copy(model.head.classify, oracle.state_dict(), "fc_audioset")
    with torch.inference_mode():
        ours, theirs = model(_waveform()), oracle(_waveform())
    torch.testing.assert_close(ours.clip_logits.sigmoid(), theirs["clipwise_output"], rtol=0, atol=1e-4)
    segments = theirs["framewise_output"][:, : NUM_SAMPLES // 320 : 32]  # each segment is repeated 32 times
    assert segments.std() > 1e-3
    torch.testing.assert_close(ours.frame_logits.sigmoid(), segments, rtol=0, atol=1e-4)


def test_features_and_last_layer_equal_published(published, oracle):
    """The published clip form: maximum plus mean over time of the features, then the last layer."""
    clip_form = _published_model(published, "Cnn14", 24)
    clip_form.load_state_dict(oracle.state_dict())
    encoder = PannsEncoder(PannsSettings(mel=CENTERED)).eval()
    load_panns_encoder(encoder, oracle.state_dict(), "published")
    with torch.inference_mode():
        x = encoder.features(power_to_db(encoder.mel(_waveform(), NUM_SAMPLES // 320)))
        ours = torch.relu(encoder.fc1(x.amax(dim=2) + x.mean(dim=2)))
        theirs = clip_form(_waveform())["embedding"]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4 * float(theirs.abs().max()))


def test_log_mel_equals_published(oracle):
    mel = PowerMel(CENTERED, 32000)
    with torch.inference_mode():
        theirs = oracle.logmel_extractor(oracle.spectrogram_extractor(_waveform()))[:, 0]
        ours = power_to_db(mel(_waveform(), NUM_SAMPLES // 320))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-3)  # dB
    torch.testing.assert_close(mel.filters, oracle.logmel_extractor.melW, rtol=0, atol=1e-7)


SMALL = PannsSettings(
    channels=(4, 8),
    time_pools=(2, 1),
    freq_pools=(2, 1),
    embedding_dim=6,
    mel=MelSettings(n_fft=256, n_mels=16, hop_samples=128),
)


def _small_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    return {key: value for key, value in PannsEncoder(SMALL).state_dict().items() if not key.startswith("mel.")}


def test_attention_block_loads_as_published():
    """The published AttBlock: 1x1 convolutions, softmax over time of the clamped attention, sum of w * sigmoid."""
    space = label_space(rfcx_species())
    torch.manual_seed(0)
    cla, att = nn.Conv1d(6, 24, 1), nn.Conv1d(6, 24, 1)
    state = _small_state()
    for name, conv in (("cla", cla), ("att", att)):
        state |= {f"att_block.{name}.{key}": value for key, value in conv.state_dict().items()}
    model = build_model(SMALL, space).eval()
    load_panns_encoder(model.encoder, state, "small")
    _copy(model.head.classify, state, "att_block.cla")
    _copy(model.head.pooling.attention, state, "att_block.att")
    waveform = torch.randn(2, 5000) * 0.1
    with torch.inference_mode():
        x = model.encoder(waveform, model.grid.num_frames(5000)).transpose(1, 2)
        weight = torch.softmax(torch.clamp(att(x), -10, 10), dim=-1)
        expected = (weight * torch.sigmoid(cla(x))).sum(dim=2)
        torch.testing.assert_close(model(waveform).clip_logits.sigmoid(), expected, rtol=1e-5, atol=1e-6)


def test_more_mel_bands_interpolate_bn0():
    wide = PannsEncoder(dataclasses.replace(SMALL, mel=dataclasses.replace(SMALL.mel, n_mels=31)))
    state = _small_state()
    state["bn0.running_mean"] = torch.arange(16.0)
    load_panns_encoder(wide, state, "small")
    torch.testing.assert_close(wide.bn0.running_mean, torch.arange(31.0) / 2)
    torch.testing.assert_close(wide.fc1.weight, state["fc1.weight"], rtol=0, atol=0)


def test_frequency_channel_starts_without_influence():
    """The published weights give the same features with the added channel, until it is trained."""
    placed = PannsEncoder(dataclasses.replace(SMALL, frequency_channel=True)).eval()
    plain = PannsEncoder(SMALL).eval()
    state = _small_state()
    load_panns_encoder(placed, dict(state), "small")
    load_panns_encoder(plain, dict(state), "small")
    db = torch.randn(2, 16, SMALL.mel.n_mels)
    torch.testing.assert_close(placed.features(db), plain.features(db))
    with torch.no_grad():
        placed.conv_block1.conv1.weight[:, 1] = 1.0
    assert not torch.allclose(placed.features(db), plain.features(db))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("fc1.weight"), "missing fc1.weight"),
        (lambda state: state.update(other=torch.zeros(1)), "not wanted other"),
        (lambda state: state.update({"fc1.bias": torch.zeros(3)}), r"fc1.bias has shape \(3,\), need \(6,\)"),
    ],
)
def test_misfits_are_named(change, message):
    state = _small_state()
    change(state)
    with pytest.raises(CheckpointError, match=message):
        load_panns_encoder(PannsEncoder(SMALL), state, "small")


def test_checkpoint_with_the_sampler_of_the_published_training(tmp_path):
    path = tmp_path / "small.pth"
    state = _small_state()
    sampler = {"indexes": np.arange(3), "pointer": np.int64(2)}
    torch.save({"iteration": 1, "model": state, "sampler": sampler}, path)
    model = build_model(dataclasses.replace(SMALL, checkpoint=str(path)), label_space(rfcx_species()))
    for key, value in state.items():
        torch.testing.assert_close(model.encoder.state_dict()[key], value, rtol=0, atol=0)


class Evil:
    def __reduce__(self):
        return (print, ("unpickled",))


def test_unsafe_pickle_is_refused(tmp_path, capsys):
    path = tmp_path / "evil.pth"
    torch.save({"model": {}, "x": Evil()}, path)
    with pytest.raises(CheckpointError, match=r"it asks for builtins\.print"):
        read_panns_checkpoint(path)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("content", "message"), [(None, "no such file"), ({"model": {"a": 1}}, "no state dict")])
def test_unusable_files_are_named(tmp_path, content, message):
    path = tmp_path / "x.pth"
    if content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        read_panns_checkpoint(path)
