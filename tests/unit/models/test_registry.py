"""The registry decides what settings, saved models and the tests' matrix know."""

from typing import Literal

import pytest
import torch
from torch import nn

from rfcx_ssl.config import check_settings
from rfcx_ssl.errors import ConfigError
from rfcx_ssl.models.build import build_model
from rfcx_ssl.models.encoder import Encoder, SedSettings
from rfcx_ssl.models.modeling import RainforestSedModel
from rfcx_ssl.models.panns import PannsSettings
from rfcx_ssl.models.registry import ENCODERS, by_kind, read_settings
from rfcx_ssl.models.settings import ModelSettings
from rfcx_ssl.models.wav2vec import FAMILY
from rfcx_ssl.settings import settings


def test_the_matrix_has_examples_of_every_registered_kind_and_backbone(tiny_examples):
    assert set(tiny_examples) == set(ENCODERS), "tests/unit/conftest.py: TINY has no example of a registered kind"
    assert all(tiny_examples.values())
    assert set(FAMILY) <= set(tiny_examples["wav2vec2"])


@settings
class ToySettings(SedSettings):
    kind: Literal["toy"] = "toy"
    width: int = 4
    level: float = 0.0

    def config_values(self):
        return {"sample_rate_hz": 8000}

    def make_encoder(self, config):
        return ToyEncoder(self)


class ToyEncoder(Encoder):
    """Samples in frames of 80, projected."""

    hop_samples = 80
    num_depths = 1

    def __init__(self, settings):
        super().__init__()
        self.settings = settings
        self.sample_rate_hz = 8000
        self.dim = settings.width
        self.project = nn.Linear(80, settings.width)

    def load_pretrained(self):
        nn.init.constant_(self.project.weight, self.settings.level)

    def forward(self, waveform, num_frames, valid=None):
        padded = nn.functional.pad(waveform, (0, num_frames * 80 - waveform.shape[1]))
        return self.project(padded.unflatten(1, (num_frames, 80)))

    def depth(self, name):
        return 0


def test_a_new_encoder_is_a_settings_class_and_an_encoder(monkeypatch, space, tmp_path):
    monkeypatch.setitem(ENCODERS, "toy", ToySettings)
    model = build_model(ToySettings(width=6, level=0.25, window_s=0.5), space).eval()
    assert (model.config.sample_rate_hz, model.config.window_samples) == (8000, 4000)
    assert (model.encoder.project.weight == 0.25).all()
    model.save_pretrained(tmp_path)
    loaded = RainforestSedModel.from_pretrained(tmp_path).eval()
    assert loaded.settings == model.settings
    waveform = torch.randn(2, 801)
    with torch.inference_mode():
        assert model(waveform).frame_logits.shape == (2, 11, 27)
        torch.testing.assert_close(loaded(waveform).to_tuple(), model(waveform).to_tuple(), rtol=0, atol=0)


def test_settings_without_their_methods_cannot_be_made():
    @settings
    class Half(SedSettings):
        kind: Literal["half"] = "half"

    with pytest.raises(TypeError, match=r"abstract methods .*config_values.*make_encoder"):
        Half()


def test_two_classes_of_one_kind_are_an_error():
    @settings
    class Other(PannsSettings):
        pass

    with pytest.raises(ValueError, match="kind='panns' belongs to PannsSettings and to Other"):
        by_kind(PannsSettings, Other)


@pytest.mark.parametrize("read", [read_settings, lambda values: check_settings(ModelSettings, values, "model")])
def test_a_kind_with_a_typo_gets_a_suggestion(read):
    expected = r"kind='pans': must be one of 'panns', 'spectrogram', 'wav2vec2', did you mean 'panns'\?$"
    with pytest.raises(ConfigError, match=expected):
        read({"kind": "pans"})


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_settings_door_knows_every_kind(kind):
    values = {"kind": kind} | ({"encoder": "somewhere"} if kind == "wav2vec2" else {})
    assert type(check_settings(ModelSettings, values, "model")) is ENCODERS[kind]
